"""What one backend exports, every other imports, and has equal rows then."""

from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import DatabaseManager, UnitOfWork
from cardlink_sql.formats.files import write_atomically
from cardlink_sql.transfer.exchange import Conflict, Format, Keys, Selection, export, import_file
from tests.conftest import ALL_DIALECTS, Migrated, delete_rows, dump, iccid
from tests.exchange_data import KEY, fill

FORMATS = [Format.JSON, Format.YAML, Format.JSONL]
Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module", params=ALL_DIALECTS, ids=lambda dialect: f"from-{dialect}")
def exported(
    request: pytest.FixtureRequest, migrated: Migrated, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Rows]:
    """The folder with a backend's exports, and the rows that they came from."""
    manager, folder = migrated(request.param), tmp_path_factory.mktemp("exported")
    try:
        fill(manager)
        for each in FORMATS:
            export(manager, folder / f"all.{each}")
        with write_atomically(folder / "backup.jsonl", binary=True) as file:
            export(manager, file, selection=Selection(secrets=True), keys=Keys.STORED)
        export(manager, folder / "keys.jsonl", keys=Keys.ENCRYPTED, passphrase="long enough")
        return folder, dump(manager)
    finally:
        delete_rows(manager)


def without_keys(rows: Rows) -> Rows:
    """The rows of a dump without the cards' keys."""
    return {**rows, "card_profiles": [row[:5] + row[6:] for row in rows["card_profiles"]]}


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_export_of_any_backend_gives_equal_rows_in_any_other(
    exported: tuple[Path, Rows], manager: DatabaseManager, file_format: Format
) -> None:
    folder, rows = exported
    report = import_file(manager, folder / f"all.{file_format}")
    imported = dump(manager)
    assert without_keys(imported) == without_keys(rows)
    assert {name: table.created for name, table in report.tables.items()} == {
        name: len(rows[name]) for name in report.tables
    }


def test_an_import_that_is_repeated_changes_nothing(
    exported: tuple[Path, Rows], manager: DatabaseManager
) -> None:
    path = exported[0] / "all.jsonl"
    import_file(manager, path)
    imported = dump(manager)
    for rule in Conflict:
        again = import_file(manager, path, conflict=rule)
        changes = {(t.created, t.updated, t.skipped) for t in again.tables.values()}
        assert changes == {(0, 0, 0)}
        assert dump(manager) == imported


def test_keys_under_a_passphrase_open_in_any_other_backend(
    exported: tuple[Path, Rows], manager: DatabaseManager
) -> None:
    folder, rows = exported
    import_file(manager, folder / "keys.jsonl", passphrase="long enough")
    with UnitOfWork(manager, read_only=True) as uow:
        assert uow.cards.get_psk_key(iccid(3)) == KEY
        assert uow.cards.get_psk_key("0" * 18) == b"\0" * 64
        assert uow.cards.get_psk_key(iccid(2)) is None
    assert without_keys(dump(manager)) == without_keys(rows)


def test_a_backup_gives_every_byte_back(
    exported: tuple[Path, Rows], manager: DatabaseManager
) -> None:
    folder, rows = exported
    import_file(manager, folder / "backup.jsonl", keys=Keys.STORED)
    assert dump(manager) == rows
