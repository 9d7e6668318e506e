"""Reads a file into the database: checked first, then written in one transaction.

Memory is flat for jsonl, but for the keys of rows other than log entries; json and yaml are read
whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS, run_again
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.text import open_to_read
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.transfer.exchange.checking import Checker, References
from cardlink_sql.transfer.exchange.formats import Format, format_of
from cardlink_sql.transfer.exchange.header import read_header
from cardlink_sql.transfer.exchange.keys import FileKeys, Keys, Passphrase, key_reader
from cardlink_sql.transfer.exchange.readers import FileRow, open_source
from cardlink_sql.transfer.exchange.shapes import SHAPES
from cardlink_sql.transfer.exchange.spool import Spool
from cardlink_sql.transfer.exchange.table_writers import (
    Conflict,
    LogWriter,
    RowWriter,
    TableReport,
    TableWriter,
)

_STEP: Final = 500


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The rows of an import by the tables' names; after a dry run, those it would write."""

    tables: dict[str, TableReport] = field(
        default_factory=lambda: {shape.name: TableReport() for shape in SHAPES}
    )
    dry_run: bool = False

    @property
    def rows(self) -> int:
        """Return the rows of the file."""
        return sum(t.created + t.updated + t.skipped + t.unchanged for t in self.tables.values())


def import_file(
    manager: DatabaseManager,
    path: Path,
    *,
    file_format: Format | None = None,
    conflict: Conflict = Conflict.SKIP,
    dry_run: bool = False,
    passphrase: Passphrase = None,
    keys: Keys | None = None,
    on_check: OnProgress = no_progress,
    on_progress: OnProgress = no_progress,
) -> ImportReport:
    """Import a file: all of it, or nothing.

    The file is checked first, then written in one transaction, references first.

    Args:
        manager: the database.
        path: the file.
        file_format: without one, that of the file's name.
        conflict: what happens to a row that the database has already.
        dry_run: do it all and roll it back.
        passphrase: opens encrypted keys; a function is called only where the file has such.
        keys: ``STORED`` accepts a backup, whose keys are as a database stored them.
        on_check: receives the number of rows checked after each 500, and of the last ones.
        on_progress: receives the rows written after each batch; after a conflict, from the start.

    Raises:
        ValidationError: the file cannot be read, or has problems: a line for each.
        EncryptionError: the passphrase is wrong, or no encryption key is set.
        IntegrityError: another writer was quicker; nothing was kept.
        ConflictError: it met conflicts for two minutes; nothing was kept.
    """
    problems = Problems(str(path))
    with open_to_read(path) as file, Spool() as spool:
        source = open_source(path, file_format or format_of(path), file)
        where = f"{path}: header"
        header = read_header(manager, source.header, where)
        reader = key_reader(manager, header, passphrase, f"{where}.keys")
        if reader is not None and reader.is_stored and keys is not Keys.STORED:
            raise ValidationError(
                "the keys are as a database stored them: the file is a backup",
                f"{where}.keys",
                "put it back with: cardlink-db restore",
            )
        checker = Checker(spool, problems, reader)
        _check(source.entries(problems), checker, on_check)
        return _Import(manager, checker, conflict, reader, on_progress, dry_run).run()


def _check(entries: Iterable[FileRow], checker: Checker, on_check: OnProgress) -> None:
    problems, new = checker.problems, 0
    try:
        for entry in entries:
            checker.take(entry)
            new += 1
            if new == _STEP:
                on_check(new)
                new = 0
    except ValidationError as error:
        # Such as a file that ends too soon, where what was found so far may explain it.
        if not problems.count:
            raise
        problems.add(error.what)
    on_check(new)


def _note(transaction: Transaction, report: ImportReport) -> None:
    """Note the events of an import: of each table that it changed one, and that it is done."""
    for shape in SHAPES:
        counts, gateway = report.tables[shape.name], shape.gateway
        count = counts.created + counts.updated
        if count:
            done = {"table": shape.name, "operation": "import", "count": count}
            transaction.note(gateway.event, gateway.entity, None, "imported", count=count)
            transaction.note(EventType.BATCH_COMPLETED, gateway.entity, None, "completed", **done)


@dataclass(frozen=True, slots=True)
class _Import:
    """The writing of a checked file."""

    manager: DatabaseManager
    checker: Checker
    conflict: Conflict
    keys: FileKeys | None
    on_progress: OnProgress
    dry_run: bool

    def run(self) -> ImportReport:
        if self.checker.problems.count:
            # List what the database would refuse next to the faults of the file.
            with self.manager.transaction(read_only=True) as transaction:
                self._hold_against(ExchangeGateway(transaction, self.manager.library))
        return run_again(self._run_once, PATIENT_ATTEMPTS, PATIENT_SECONDS)

    def _run_once(self) -> ImportReport:
        report = ImportReport(dry_run=self.dry_run)
        with self.manager.transaction(read_only=False) as transaction:
            gateway = ExchangeGateway(transaction, self.manager.library)
            for iccid in self._hold_against(gateway):
                gateway.release_psk_identity(iccid)
            self._write(gateway, report)
            if self.dry_run:
                transaction.rollback()
            else:
                _note(transaction, report)
                transaction.commit()
        return report

    def _hold_against(self, gateway: ExchangeGateway) -> list[str]:
        return References(gateway, self.manager.dialect, self.checker, self.conflict).check()

    def _write(self, gateway: ExchangeGateway, report: ImportReport) -> None:
        new_sessions: set[str] = set()
        for shape in SHAPES:
            counts, dialect = report.tables[shape.name], self.manager.dialect
            shared = shape, gateway, dialect, self.conflict, self.keys, counts
            writer: TableWriter
            if shape.word == "logs":
                may_number = self._may_number(gateway)
                writer = LogWriter(*shared, new_sessions=new_sessions, may_number=may_number)
            else:
                writer = RowWriter(*shared)
            for batch in self.checker.spool.batches(shape):
                size = len(batch)
                writer.write(batch)
                self.on_progress(size)
            if shape.word == "sessions":
                new_sessions = writer.created

    def _may_number(self, gateway: ExchangeGateway) -> bool:
        """Return whether log entries may keep their numbers."""
        # On a server the count of the numbers, once moved, cannot be rolled back.
        is_dry = self.dry_run and self.manager.dialect is not Dialect.SQLITE
        highest = self.checker.highest
        return highest > 0 and not is_dry and gateway.reserve_numbers(highest)
