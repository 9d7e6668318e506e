"""The export of CardLink's design: its document as the rows that an import takes.

It has no header but ``exported_at``. Its sessions are ``sessions``, its settings one object of keys
and values, or rows. Times are in UTC without a zone. It never holds PSKs.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from cardlink_sql.formats.problems import Problems
from cardlink_sql.transfer.exchange.file_rows import FileRow
from cardlink_sql.transfer.exchange.header import FORMAT, FORMAT_VERSION
from cardlink_sql.transfer.exchange.shapes import BY_NAME, Shape

_MARK: Final = "exported_at"
_YAML_MARK: Final = re.compile(rf"^{_MARK}:", re.MULTILINE)
_YAML_HEADER: Final = re.compile(r"^header:", re.MULTILINE)
_SHAPES: Final = {
    "devices": BY_NAME["devices"],
    "card_profiles": BY_NAME["card_profiles"],
    "cards": BY_NAME["card_profiles"],
    "sessions": BY_NAME["ota_sessions"],
    "test_results": BY_NAME["test_results"],
    "settings": BY_NAME["settings"],
}


def is_design_export(document: Any) -> bool:
    """Return whether a document is an export of the design."""
    return isinstance(document, dict) and _MARK in document and "header" not in document


def end_design_yaml(text: str) -> str:
    """Return the text with the last line that ours ends in, if it is YAML of the design.

    Its YAML has no mark of its end, so a file that was cut off between two rows is not noticed.
    """
    is_design = _YAML_MARK.search(text) and not _YAML_HEADER.search(text)
    return f"{text}\n...\n" if is_design else text


class DesignSource:
    """An export of the design, read whole."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            _MARK: _utc(document.pop(_MARK)),
        }
        document.pop("version", None)
        self._tables = document

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows, table by table."""
        for name, rows in self._tables.items():
            shape = _SHAPES.get(name)
            if shape is None:
                problems.add(f"there is no such table, only {', '.join(_SHAPES)}", name)
            elif isinstance(rows, list):
                for index, row in enumerate(rows):
                    yield FileRow(shape, index, None, _row(shape, row), f"{name}[{index}]")
            elif isinstance(rows, dict) and shape.word == "settings":
                for index, (key, value) in enumerate(rows.items()):
                    row = {"key": key, "value": value}
                    yield FileRow(shape, index, None, row, f"{name}.{key}")
            else:
                problems.add("this is not a list of rows", name)


def _row(shape: Shape, row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    values = {name: _utc(value) if name.endswith("_at") else value for name, value in row.items()}
    if shape.word == "sessions" and values.get("started_at") is not None:
        # The design leaves out when a session was created; lists and retention go by it.
        values.setdefault("created_at", values["started_at"])
    return values


def _utc(value: Any) -> Any:
    """Return a time with its zone; leave anything else to the checks."""
    try:
        is_naive = datetime.fromisoformat(value).tzinfo is None
    except (TypeError, ValueError):
        return value
    return f"{value}+00:00" if is_naive else value
