"""The formats of a file, and how its name shows them."""

from enum import StrEnum
from pathlib import Path
from typing import Final

from cardlink_sql.errors import ValidationError


class Format(StrEnum):
    """How a file is written."""

    JSON = "json"
    YAML = "yaml"
    JSONL = "jsonl"
    CSV = "csv"


_EXTENSIONS: Final = {
    ".json": Format.JSON,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".csv": Format.CSV,
}


def format_of(path: Path) -> Format:
    """Return the format that the file's name indicates.

    Raises:
        ValidationError: the name shows none.
    """
    found = _EXTENSIONS.get(path.suffix.lower())
    if found is None:
        raise ValidationError(
            f"the name {path.name!r} does not show the format",
            "format",
            f"choose one of {', '.join(Format)}",
        )
    return found
