"""The formats of a file, and what writes the rows of an export in each, one at a time.

json and yaml
    One object: ``header``, then a list for each table. A YAML file ends in ``...``, so that one
    that was cut off is noticed.
jsonl
    A line with the header, a line for each row with its ``table``, and a last line with the
    number of rows of each table.
csv
    One table for a spreadsheet, without a header; see :class:`CsvWriter`.
"""

import codecs
import csv
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.strict_yaml import write_yaml
from cardlink_sql.model.tables import JSONDocument, UTCDateTime
from cardlink_sql.transfer.exchange.shapes import Shape, Values


class Format(StrEnum):
    """How a file is written."""

    JSON = "json"
    YAML = "yaml"
    JSONL = "jsonl"
    CSV = "csv"


_ALIASES: Final = {"yml": "yaml", "ndjson": "jsonl"}


def format_of(path: Path) -> Format:
    """Return the format that the file's name indicates.

    Raises:
        ValidationError: the name shows none.
    """
    ending = path.suffix.lower().removeprefix(".")
    try:
        return Format(_ALIASES.get(ending, ending))
    except ValueError:
        raise ValidationError(
            f"the name {path.name!r} does not show the format",
            "format",
            f"choose one of {', '.join(Format)}",
        ) from None


class Writer:
    """The writer of a format: the header, tables in turn with their rows, the end."""

    def __init__(self, file: IO[bytes], encoding: str = "utf-8") -> None:
        self._file = codecs.getwriter(encoding)(file)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Write the header."""

    def table(self, shape: Shape) -> None:
        """Begin a table: the rows that follow belong to it."""

    def row(self, values: Values) -> None:
        """Write a row."""

    def end(self, rows: Mapping[str, int]) -> None:
        """Write what comes last; ``rows`` counts those of each table."""


def writer(chosen: Format, file: IO[bytes], *, raw: bool = False) -> Writer:
    """Return the writer of a format; ``raw`` leaves the text of CSV as it is."""
    match chosen:
        case Format.JSON:
            return JsonWriter(file)
        case Format.YAML:
            return YamlWriter(file)
        case Format.JSONL:
            return JsonLinesWriter(file)
        case Format.CSV:
            return CsvWriter(file, raw=raw)


# JSON on one line, all letters as they are.
to_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class JsonLinesWriter(Writer):
    """JSON lines."""

    _head = ""

    def begin(self, header: Mapping[str, Any]) -> None:
        self._file.write(f"{to_json({'header': header})}\n")

    def table(self, shape: Shape) -> None:
        self._head = f'{{"table": "{shape.name}", '

    def row(self, values: Values) -> None:
        self._file.write(f"{self._head}{to_json(values)[1:]}\n")

    def end(self, rows: Mapping[str, int]) -> None:
        self._file.write(f"{to_json({'trailer': {'rows': rows}})}\n")


class JsonWriter(Writer):
    """One JSON object, a row on each line."""

    _before_row = ""
    _close = ""

    def begin(self, header: Mapping[str, Any]) -> None:
        self._file.write(f'{{\n"header": {to_json(header)}')

    def table(self, shape: Shape) -> None:
        self._file.write(f'{self._close},\n"{shape.name}": [')
        self._before_row, self._close = "\n", "]"

    def row(self, values: Values) -> None:
        self._file.write(f"{self._before_row}  {to_json(values)}")
        self._before_row, self._close = ",\n", "\n]"

    def end(self, rows: Mapping[str, int]) -> None:
        self._file.write(f"{self._close}\n}}\n")


class YamlWriter(Writer):
    """One YAML mapping in block style."""

    _empty = ""

    def begin(self, header: Mapping[str, Any]) -> None:
        self._file.write(write_yaml({"header": dict(header)}))

    def table(self, shape: Shape) -> None:
        self._file.write(f"{self._empty}{shape.name}:")
        self._empty = " []\n"

    def row(self, values: Values) -> None:
        if self._empty == " []\n":
            self._file.write("\n")
        self._empty = ""
        self._file.write(write_yaml([values]))

    def end(self, rows: Mapping[str, int]) -> None:
        self._file.write(f"{self._empty}...\n")


# What a spreadsheet runs as a formula, the wide forms included, and what it drops before one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
# Digits with the signs of numbers, dates and times, and one E: 9000, 6E00, 0084000008, 12:30.
_NUMBER: Final = re.compile(r"[\d\s.,:/%+-]*(?:[eE][\d+-]*)?")


class CsvWriter(Writer):
    """CSV after RFC 4180 for a spreadsheet: UTF-8 with its mark, every text in quotes.

    A number is a number and a time, without its zone, a time in UTC. Text that a spreadsheet
    would run as a formula or turn into a number or a time (``=A1``, ``9000``, ``6E00``, an
    ICCID) has a ``'`` before it, unless ``raw``. JSON is text; NULL is an empty cell.
    """

    def __init__(self, file: IO[bytes], *, raw: bool) -> None:
        super().__init__(file, "utf-8-sig")
        self._write = csv.writer(
            self._file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n"
        ).writerow
        self._text_of = str if raw else harmless
        self._forms: dict[str, Any] = {}

    def table(self, shape: Shape) -> None:
        forms = {
            column.name: _cell_of(column.type, self._text_of) for column in shape.table.columns
        }
        self._forms = {name: forms[name] for name in shape.fields}
        self._write(list(self._forms))

    def row(self, values: Values) -> None:
        self._write(
            [
                "" if values[name] is None else form(values[name])
                for name, form in self._forms.items()
            ]
        )


def _cell_of(kind: Any, text_of: Callable[[str], str]) -> Any:
    if isinstance(kind, UTCDateTime):
        return lambda text: text[:26].replace("T", " ")
    if isinstance(kind, JSONDocument):
        return lambda value: text_of(to_json(value))
    return lambda value: text_of(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """Return a cell's text, prefixed with ``'`` where a spreadsheet would misread it."""
    if text.startswith(_FORMULA) or (text and _NUMBER.fullmatch(text)):
        return f"'{text}"
    return text
