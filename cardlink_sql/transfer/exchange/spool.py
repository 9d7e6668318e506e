"""Keeps checked rows on disk between the check of a file and its writing, table by table."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from cardlink_sql.transfer.exchange.shapes import SHAPES, Shape

_ROWS: Final = 500
_IN_MEMORY: Final = 2**20


class Spool(ExitStack):
    """Rows of each table, written once and then read in batches, in flat memory.

    The files have no name, so that nobody else reads them and nothing is left of them. PSKs
    are in them only as the database stores them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._files = {
            shape.name: self.enter_context(SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
            for shape in SHAPES
        }
        self._batches: dict[str, list[Any]] = {shape.name: [] for shape in SHAPES}
        self.counts = {shape.name: 0 for shape in SHAPES}

    def add(self, shape: Shape, row: Any) -> None:
        """Keep a row, which is JSON."""
        batch = self._batches[shape.name]
        batch.append(row)
        self.counts[shape.name] += 1
        if len(batch) >= _ROWS:
            self._write(shape.name)

    def batches(self, shape: Shape) -> Iterator[list[Any]]:
        """Yield the rows of a table in the order of the file, up to 500 at a time."""
        self._write(shape.name)
        file = self._files[shape.name]
        file.seek(0)
        for line in file:
            yield json.loads(line)

    def _write(self, name: str) -> None:
        if self._batches[name]:
            text = json.dumps(self._batches[name], ensure_ascii=False)
            self._files[name].write(f"{text}\n".encode())
            self._batches[name] = []
