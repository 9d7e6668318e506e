"""Writes the rows of an export, one at a time, in each format.

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
from typing import IO, Any, Final, Protocol

from cardlink_sql.formats.strict_yaml import write_yaml
from cardlink_sql.model.tables import JSONDocument, UTCDateTime
from cardlink_sql.transfer.exchange.formats import Format
from cardlink_sql.transfer.exchange.shapes import Shape
from cardlink_sql.transfer.exchange.values import Values


class Writer(Protocol):
    """The writer of a format: the header, tables in turn with their rows, the end."""

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
    made: Writer = CsvWriter(file, raw=raw) if chosen is Format.CSV else _WRITERS[chosen](file)
    return made


def _text_writer(file: IO[bytes]) -> Callable[[str], None]:
    return codecs.getwriter("utf-8")(file).write


# JSON on one line, all letters as they are.
to_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class JsonLinesWriter:
    """JSON lines."""

    def __init__(self, file: IO[bytes]) -> None:
        self._write = file.write
        self._head = ""

    def begin(self, header: Mapping[str, Any]) -> None:
        self._line(to_json({"header": header}))

    def table(self, shape: Shape) -> None:
        self._head = f'{{"table": "{shape.name}", '

    def row(self, values: Values) -> None:
        self._line(self._head + to_json(values)[1:])

    def end(self, rows: Mapping[str, int]) -> None:
        self._line(to_json({"trailer": {"rows": rows}}))

    def _line(self, text: str) -> None:
        self._write(f"{text}\n".encode())


class JsonWriter:
    """One JSON object, a row on each line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._text = _text_writer(file)
        self._before_row = ""
        self._close = ""

    def begin(self, header: Mapping[str, Any]) -> None:
        self._text(f'{{\n"header": {to_json(header)}')

    def table(self, shape: Shape) -> None:
        self._text(f'{self._close},\n"{shape.name}": [')
        self._before_row, self._close = "\n", "]"

    def row(self, values: Values) -> None:
        self._text(f"{self._before_row}  {to_json(values)}")
        self._before_row, self._close = ",\n", "\n]"

    def end(self, rows: Mapping[str, int]) -> None:
        self._text(f"{self._close}\n}}\n")


class YamlWriter:
    """One YAML mapping in block style."""

    def __init__(self, file: IO[bytes]) -> None:
        self._text = _text_writer(file)
        self._empty = ""

    def begin(self, header: Mapping[str, Any]) -> None:
        self._text(write_yaml({"header": dict(header)}))

    def table(self, shape: Shape) -> None:
        self._text(f"{self._empty}{shape.name}:")
        self._empty = " []\n"

    def row(self, values: Values) -> None:
        if self._empty == " []\n":
            self._text("\n")
        self._empty = ""
        self._text(write_yaml([values]))

    def end(self, rows: Mapping[str, int]) -> None:
        self._text(f"{self._empty}...\n")


# What a spreadsheet runs as a formula, the wide forms included, and what it drops before one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
# Digits with the signs of numbers, dates and times, and one E: 9000, 6E00, 0084000008, 12:30.
_NUMBER: Final = re.compile(r"[\d\s.,:/%+-]*(?:[eE][\d+-]*)?")


class CsvWriter:
    """CSV after RFC 4180 for a spreadsheet: UTF-8 with its mark, every text in quotes.

    A number is a number and a time, without its zone, a time in UTC. Text that a spreadsheet
    would run as a formula or turn into a number or a time (``=A1``, ``9000``, ``6E00``, an
    ICCID) has a ``'`` before it, unless ``raw``. JSON is text; NULL is an empty cell.
    """

    def __init__(self, file: IO[bytes], *, raw: bool) -> None:
        text = codecs.getwriter("utf-8-sig")(file)
        self._write = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerow
        self._text_of = str if raw else harmless
        self._forms: dict[str, Any] = {}

    def begin(self, header: Mapping[str, Any]) -> None:
        pass

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

    def end(self, rows: Mapping[str, int]) -> None:
        pass


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


_WRITERS: Final[Mapping[Format, Any]] = {
    Format.JSON: JsonWriter,
    Format.YAML: YamlWriter,
    Format.JSONL: JsonLinesWriter,
}
