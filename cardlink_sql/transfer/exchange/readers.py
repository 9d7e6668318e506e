"""Reads the rows of a file one after another, in each format; what they hold is checked later."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.strict_json import load_json
from cardlink_sql.formats.strict_yaml import Author, read_yaml
from cardlink_sql.formats.text import decode, read_rest
from cardlink_sql.transfer.exchange.design_export import (
    DesignSource,
    end_design_yaml,
    is_design_export,
)
from cardlink_sql.transfer.exchange.file_rows import FileRow, RowSource
from cardlink_sql.transfer.exchange.formats import Format
from cardlink_sql.transfer.exchange.shapes import BY_NAME

# No row that the checks let pass is longer, however its letters are escaped.
_MAX_LINE: Final = 2**25
# JSON and YAML are read whole, into many times their size.
_MAX_DOCUMENT: Final = 2**28


def open_source(path: Path, file_format: Format, file: IO[bytes]) -> RowSource:
    """Return the reader of a format.

    Raises:
        ValidationError: the file cannot be read in this format.
    """
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
        document = read_yaml(end_design_yaml(text), problems, Author.PROGRAM)
        problems.refuse()
    return DesignSource(document) if is_design_export(document) else DocumentSource(document, path)


class DocumentSource:
    """JSON and YAML: read whole."""

    def __init__(self, document: Any, path: Path) -> None:
        if not isinstance(document, dict):
            raise ValidationError("the file is not an object of tables", str(path))
        self.header = document.pop("header", None)
        self._tables = document

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows, table by table."""
        for name, rows in self._tables.items():
            shape = BY_NAME.get(name)
            if shape is None:
                problems.add(f"there is no such table, only {', '.join(BY_NAME)}", name)
            elif not isinstance(rows, list):
                problems.add("this is not a list of rows", name)
            else:
                for index, row in enumerate(rows):
                    yield FileRow(shape, index, None, row)


class LinesSource:
    """JSON lines: read one at a time."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._line = 0
        first = self._next()
        opening = {} if first is None else load_json(first, self._where)
        self.header = opening.get("header") if isinstance(opening, dict) else None

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows, then check the last line.

        Raises:
            ValidationError: the last line is missing or does not count the rows.
        """
        counts: dict[str, int] = {}
        while (text := self._next(problems)) is not None:
            if not text.strip():
                continue
            row = self._object(text, problems)
            if row is None:
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

    def _object(self, text: str, problems: Problems) -> dict[str, Any] | None:
        try:
            row = load_json(text, self._where)
        except ValidationError as error:
            problems.add(error.what, line=self._line)
            return None
        if not isinstance(row, dict):
            problems.add("the line is not an object", line=self._line)
            return None
        return row

    def _end(self, trailer: Any, counts: Mapping[str, int]) -> None:
        expected = trailer.get("rows") if isinstance(trailer, dict) else None
        found = {name: counts.get(name, 0) for name in BY_NAME}
        is_right = isinstance(expected, dict) and found == {
            **dict.fromkeys(BY_NAME, 0),
            **expected,
        }
        if not is_right:
            raise ValidationError(
                "the last line counts other rows than the file has",
                self._where,
                "export it again; after an edit by hand correct its rows",
            )
        if (rest := self._next()) is not None and (rest.strip() or self._next() is not None):
            raise ValidationError("a line follows the last one", self._where)

    def _next(self, problems: Problems | None = None) -> str | None:
        line = self._file.readline(_MAX_LINE + 1)
        if not line:
            return None
        self._line += 1
        if len(line) > _MAX_LINE:
            raise ValidationError(f"the line is longer than {_MAX_LINE} bytes", self._where)
        try:
            return decode(line, self._where, is_line=True).rstrip("\r\n")
        except ValidationError as error:
            if problems is None:
                raise
            problems.add(error.what, line=self._line)
            return ""

    @property
    def _where(self) -> str:
        return f"{self._path}:{self._line}"
