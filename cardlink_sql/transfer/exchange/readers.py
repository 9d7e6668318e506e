"""Reads the rows of a file one after another, in each format; what they hold is checked later."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.strict_json import load_json
from cardlink_sql.formats.strict_yaml import Author, read_yaml
from cardlink_sql.formats.text import decode, read_rest
from cardlink_sql.transfer.exchange.formats import Format
from cardlink_sql.transfer.exchange.header import FORMAT, FORMAT_VERSION
from cardlink_sql.transfer.exchange.shapes import BY_NAME, Shape

# No row that the checks let pass is longer, however its letters are escaped.
_MAX_LINE: Final = 2**25
# JSON and YAML are read whole, into many times their size.
_MAX_DOCUMENT: Final = 2**28
_MARK: Final = "exported_at"
_YAML_MARK: Final = re.compile(rf"^{_MARK}:", re.MULTILINE)
_YAML_HEADER: Final = re.compile(r"^header:", re.MULTILINE)


class FileRow(NamedTuple):
    """A row of a file: its table, its number there from 0, its line where lines count.

    ``named`` is its place in the file, where that is not the table's name and the number.
    """

    shape: Shape
    position: int
    line: int | None
    row: Any
    named: str | None = None

    def place(self, name: str | None = None) -> str:
        """Return where the row is in its file, or one of its fields, for an error."""
        place = self.named or f"{self.shape.name}[{self.position}]"
        return place if name is None else f"{place}.{name}"


def open_source(path: Path, file_format: Format, file: IO[bytes]) -> "DocumentSource | LinesSource":
    """Return the reader of a format."""
    if file_format is Format.CSV:
        raise ValidationError(
            "CSV is for spreadsheets and is not imported: it mixes up text and numbers",
            str(path),
            "export as jsonl, json or yaml",
        )
    if file_format is Format.JSONL:
        return LinesSource(file, path)
    data = read_rest(file, path, at_most=_MAX_DOCUMENT, remedy="export as jsonl, read row by row")
    text = decode(data, str(path))
    if file_format is Format.JSON:
        document = load_json(text, str(path))
    else:
        problems = Problems(str(path))
        document = read_yaml(_end_design_yaml(text), problems, Author.PROGRAM)
        problems.refuse()
    if not isinstance(document, dict):
        raise ValidationError("the file is not an object of tables", str(path))
    is_design = _MARK in document and "header" not in document
    return DesignSource(document) if is_design else DocumentSource(document)


class DocumentSource:
    """JSON and YAML: read whole."""

    shapes: Mapping[str, Shape] = BY_NAME

    def __init__(self, document: dict[str, Any]) -> None:
        self.header = document.pop("header", None)
        self._tables = document

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows, table by table."""
        for name, rows in self._tables.items():
            shape = self.shapes.get(name)
            if shape is None:
                problems.add(f"there is no such table, only {', '.join(self.shapes)}", name)
            elif not isinstance(rows, list):
                problems.add("this is not a list of rows", name)
            else:
                for index, row in enumerate(rows):
                    yield FileRow(shape, index, None, row, f"{name}[{index}]")


class LinesSource:
    """JSON lines: read one at a time."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._line = 0
        opening = load_json(self._text(first), self._where) if (first := self._next()) else {}
        self.header = opening.get("header") if isinstance(opening, dict) else None

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows, then check the last line, which counts them."""
        counts: dict[str, int] = {}
        while line := self._next():
            try:
                if not (text := self._text(line)).strip():
                    continue
                row = load_json(text, self._where)
            except ValidationError as error:
                problems.add(error.what, line=self._line)
                continue
            if not isinstance(row, dict):
                problems.add("the line is not an object", line=self._line)
                continue
            if "trailer" in row:
                self._end(row["trailer"], counts)
                return
            shape = BY_NAME.get(table) if isinstance(table := row.pop("table", None), str) else None
            if shape is None:
                problems.add(f"its table is none of: {', '.join(BY_NAME)}", line=self._line)
                continue
            index = counts.get(shape.name, 0)
            counts[shape.name] = index + 1
            yield FileRow(shape, index, self._line, row)
        raise ValidationError(
            "the file ends without its last line, so it is cut off",
            str(self._path),
            "export it again",
        )

    def _end(self, trailer: Any, counts: Mapping[str, int]) -> None:
        expected = trailer.get("rows") if isinstance(trailer, dict) else None
        found = {name: counts.get(name, 0) for name in BY_NAME}
        if not isinstance(expected, dict) or found != {**dict.fromkeys(BY_NAME, 0), **expected}:
            raise ValidationError(
                "the last line counts other rows than the file has",
                self._where,
                "export it again; after an edit by hand correct its rows",
            )
        if self._next().strip() or self._next():
            raise ValidationError("a line follows the last one", self._where)

    def _next(self) -> bytes:
        """Return the next line; nothing at the end of the file."""
        line = self._file.readline(_MAX_LINE + 1)
        if line:
            self._line += 1
        if len(line) > _MAX_LINE:
            raise ValidationError(f"the line is longer than {_MAX_LINE} bytes", self._where)
        return line

    def _text(self, line: bytes) -> str:
        return decode(line, self._where, is_line=True).rstrip("\r\n")

    @property
    def _where(self) -> str:
        return f"{self._path}:{self._line}"


def _end_design_yaml(text: str) -> str:
    """Return the text with the last line that ours ends in, if it is YAML of the design.

    Its YAML has no mark of its end, so a file that was cut off between two rows is not noticed.
    """
    is_design = _YAML_MARK.search(text) and not _YAML_HEADER.search(text)
    return f"{text}\n...\n" if is_design else text


class DesignSource(DocumentSource):
    """The export of CardLink's design, without PSKs.

    It has no header but ``exported_at``, and its times are in UTC without a zone. Its settings are
    one object of keys and values, or rows.
    """

    shapes: Mapping[str, Shape] = {
        "devices": BY_NAME["devices"],
        "card_profiles": BY_NAME["card_profiles"],
        "cards": BY_NAME["card_profiles"],
        "sessions": BY_NAME["ota_sessions"],
        "test_results": BY_NAME["test_results"],
        "settings": BY_NAME["settings"],
    }

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document)
        self.header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            _MARK: _utc(document.pop(_MARK)),
        }
        document.pop("version", None)
        settings = document.get("settings")
        self._keys: list[str] | None = None
        if isinstance(settings, dict):
            self._keys = list(settings)
            document["settings"] = [{"key": key, "value": settings[key]} for key in settings]

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows as ours would have them."""
        for entry in super().entries(problems):
            place = entry.named
            if entry.shape.word == "settings" and self._keys is not None:
                place = f"settings.{self._keys[entry.position]}"
            yield entry._replace(row=_row(entry.shape, entry.row), named=place)


def _row(shape: Shape, row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    values = {name: _utc(value) if name in shape.times else value for name, value in row.items()}
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
