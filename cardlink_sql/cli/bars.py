"""Bars and sparklines of characters, for figures that a person compares."""

from collections.abc import Sequence
from typing import Final

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS: Final = ".:-=+*#%"


def bar(share: float, width: int, *, is_unicode: bool) -> str:
    """Return a bar for ``share`` (0 to 1) of ``width`` characters; any value above 0 is visible."""
    eighths = round(min(max(share, 0), 1) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    if not is_unicode:
        return "#" * -(-eighths // 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def sparkline(values: Sequence[int], width: int, *, is_unicode: bool) -> str:
    """Return a line of columns as high as the values, some summed where they are too many.

    A blank is 0, and the highest column is the greatest value.
    """
    levels = _LEVELS if is_unicode else _ASCII_LEVELS
    size = -(-len(values) // width) if values else 1
    sums = [sum(values[at : at + size]) for at in range(0, len(values), size)]
    most = max(sums, default=0)
    return "".join(levels[-(-one * len(levels) // most) - 1] if one else " " for one in sums)
