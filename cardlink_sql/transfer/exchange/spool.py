"""Keeps the checked rows of a file until they are written."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from cardlink_sql.transfer.exchange.formats import to_json
from cardlink_sql.transfer.exchange.shapes import SHAPES, Shape

BATCH_ROWS: Final = 500
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

    def add(self, shape: Shape, row: Any) -> None:
        """Keep a row, which is JSON."""
        batch = self._batches[shape.name]
        batch.append(row)
        if len(batch) >= BATCH_ROWS:
            self._write(shape.name)

    def batches(self, shape: Shape) -> Iterator[list[Any]]:
        """Yield the rows of a table in the order of the file, up to 500 at a time."""
        self._write(shape.name)
        file = self._files[shape.name]
        file.seek(0)
        yield from map(json.loads, file)

    def _write(self, name: str) -> None:
        # A line for a batch: for a row, JSON would take five times as long.
        if self._batches[name]:
            self._files[name].write(f"{to_json(self._batches[name])}\n".encode())
            self._batches[name] = []
