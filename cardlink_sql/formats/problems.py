"""The problems of an input, as one error."""

from typing import Final

from cardlink_sql.errors import ValidationError

_MOST_SHOWN: Final = 100


class Problems:
    """Collects the problems of a file, so that one pass reports them all.

    Keeps the first hundred and counts the others.

    Args:
        name: the file's name in the error.
        remedy: what to do about them.
    """

    def __init__(self, name: str, remedy: str | None = None) -> None:
        self.name: Final = name
        self._remedy: Final = remedy
        self._found: list[tuple[int | None, str]] = []
        self.count = 0

    def add(self, what: str, path: str | None = None, line: int | None = None) -> None:
        """Note a problem, and what to write instead.

        Its path in the file is such as ``devices[3].device_type``, its line from 1.
        """
        self.count += 1
        if self.count <= _MOST_SHOWN:
            text = f"{path}: {what}" if path else what
            self._found.append((line, text.replace("\n", "\\n")))

    def add_refusal(self, error: ValidationError, line: int | None = None) -> None:
        """Note a value that a check refused, at the path that the check named."""
        self.add(f"{error.what}: {error.remedy}" if error.remedy else error.what, error.where, line)

    def refuse(self) -> None:
        """Raise the problems found, if any, as a ``ValidationError``, in the order of the lines."""
        if not self._found:
            return
        found = sorted(self._found, key=lambda problem: problem[0] or 0)
        if self.count == 1:
            line, what = found[0]
            where = self.name if line is None else f"{self.name}:{line}"
            raise ValidationError(what, where, self._remedy)
        lines = [what if line is None else f"line {line}: {what}" for line, what in found]
        if self.count > _MOST_SHOWN:
            lines.append(f"and {self.count - _MOST_SHOWN} more")
        raise ValidationError(
            "\n  ".join([f"{self.count} problems", *lines]), self.name, self._remedy
        )
