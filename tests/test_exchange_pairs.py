"""What one backend exports, every other imports, and has equal rows then."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import DatabaseManager, Dialect, UnitOfWork
from cardlink_sql.transfer.exchange import Conflict, Format, Keys, export, import_file
from tests.conftest import ANOTHER, Migrated, delete_rows, dump, iccid
from tests.exchange_data import KEY, fill

FORMATS = [Format.JSON, Format.YAML, Format.JSONL]
Rows = dict[str, list[tuple[Any, ...]]]
Exported = Callable[[Dialect], tuple[Path, Rows]]


# The name of the backend, and the times that are now.
VARYING = {"dialect", "created_at", "updated_at", "exported_at"}


@pytest.fixture(scope="module")
def exported(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Returns the folder with a backend's exports, and the rows that they came from."""

    @cache
    def export_from(dialect: Dialect) -> tuple[Path, Rows]:
        manager, folder = migrated(dialect), tmp_path_factory.mktemp("exported")
        try:
            fill(manager)
            for each in FORMATS:
                export(manager, folder / f"all.{each}")
            export(manager, folder / "keys.jsonl", keys=Keys.ENCRYPTED, passphrase="long enough")
            return folder, dump(manager)
        finally:
            delete_rows(manager)

    return export_from


@pytest.fixture
def origin(exported: Exported, dialect: Dialect) -> tuple[Path, Rows]:
    """The folder and the rows of another backend; the exports of all are the same."""
    return exported(ANOTHER[dialect])


def without_keys(rows: Rows) -> Rows:
    """The rows of a dump without the cards' keys."""
    return {**rows, "card_profiles": [row[:5] + row[6:] for row in rows["card_profiles"]]}


def lines(file: Path) -> list[dict[str, Any]]:
    """What the lines of an export say of the rows; JSON escapes the line breaks in a value."""
    found = [json.loads(line) for line in file.read_text("utf-8").split("\n")[:-1]]
    rows = [line.get("header", line) for line in found]
    kept = [{key: row[key] for key in row.keys() - VARYING} for row in rows]
    for row in kept:
        if row.get("table") == "comm_logs":
            del row["id"]  # the server numbers on from the tests before
    return kept


@pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL, Dialect.MYSQL], ids=str)
def test_the_exports_of_all_backends_are_the_same(exported: Exported, dialect: Dialect) -> None:
    (one, _), (other, _) = exported(Dialect.SQLITE), exported(dialect)
    assert lines(one / "all.jsonl") == lines(other / "all.jsonl")


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_export_of_any_backend_gives_equal_rows_in_another(
    origin: tuple[Path, Rows], manager: DatabaseManager, file_format: Format
) -> None:
    folder, rows = origin
    report = import_file(manager, folder / f"all.{file_format}")
    imported = dump(manager)
    assert without_keys(imported) == without_keys(rows)
    assert {name: table.created for name, table in report.tables.items()} == {
        name: len(rows[name]) for name in report.tables
    }


def test_an_import_that_is_repeated_changes_nothing(
    origin: tuple[Path, Rows], manager: DatabaseManager
) -> None:
    path = origin[0] / "all.jsonl"
    import_file(manager, path)
    imported = dump(manager)
    for rule in Conflict:
        again = import_file(manager, path, conflict=rule)
        changes = {(t.created, t.updated, t.skipped) for t in again.tables.values()}
        assert changes == {(0, 0, 0)}
        assert dump(manager) == imported


def test_keys_under_a_passphrase_open_in_another_backend(
    origin: tuple[Path, Rows], manager: DatabaseManager
) -> None:
    folder, rows = origin
    import_file(manager, folder / "keys.jsonl", passphrase="long enough")
    with UnitOfWork(manager, read_only=True) as uow:
        assert uow.cards.get_psk_key(iccid(3)) == KEY
        assert uow.cards.get_psk_key("0" * 18) == b"\0" * 64
        assert uow.cards.get_psk_key(iccid(2)) is None
    assert without_keys(dump(manager)) == without_keys(rows)
