"""The lock of the queries: it is up to date, and sees what is not as it has it."""

import json
import re
import shutil
from itertools import islice
from pathlib import Path

import pytest

from cardlink_sql.cli.sql import checking
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, load_library
from cardlink_sql.queries.library import read_library
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.review import lock as lock_module
from cardlink_sql.review.databases import dataset, target
from cardlink_sql.review.lock import check_lock, check_reasons, read_lock, write_lock
from cardlink_sql.review.plans import Planned, plans_of
from tests.conftest import Run
from tests.test_review_plans import PLANS, without

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL
SQL = Path(str(resource_folder("sql")))


def test_the_files_are_as_the_lock_has_them(run: Run) -> None:
    done = run("sql", "check", "--locked")
    assert done.returncode == 0, f"run scripts/lock and review what changed:\n{done.stdout}"


def test_no_secret_and_no_place_of_a_machine_is_in_a_lock() -> None:
    for dialect in Dialect:
        text = json.dumps(read_lock(dialect))
        assert "://" not in text
        assert str(Path.home()) not in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "WHERE psk_key_encrypted IS NULL",
            "WHERE psk_key_encrypted IS NOT NULL",
            ["differs from the lock"],
        ),
        (
            "-- name: find_without_psk",
            "-- name: find_without_pks",
            ["SQL files do not", "is not in the lock"],
        ),
        ("-- when: atr\n", "-- when: atr, imsi\n", ["differs from the lock"] * 2),
        ("-- The cards that have none.", "-- The cards without a PSK.", []),
        ("  iccid,\n  imsi,", "  iccid, imsi,", ["differs from the lock"]),
        ("WHERE psk_key_encrypted IS NULL", "WHERE   psk_key_encrypted IS  NULL", []),
    ],
)
def test_a_change_of_a_query_is_seen_and_one_of_its_looks_is_not(
    old: str, new: str, said: list[str], tmp_path: Path
) -> None:
    shutil.copytree(SQL, tmp_path / "sql")
    file = tmp_path / "sql/common/cards.sql"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, len(said) or 1), "utf-8")
    faults = check_lock(read_library(tmp_path / "sql", SQLITE), read_lock(SQLITE))
    assert len(faults) == len(said), faults
    faults.sort(key=lambda fault: fault.query or "", reverse=True)
    for fault, words in zip(faults, said, strict=True):
        assert words in fault.what
        assert fault.check == "lock"


def test_a_change_of_an_internal_statement_is_seen() -> None:
    lock = read_lock(SQLITE)
    lock["internal"]["review.gather"] = "another"
    lock["internal"]["review.gone"] = lock["internal"].pop("review.averages")
    faults = check_lock(load_library(SQLITE), lock)
    assert [(fault.where, fault.what) for fault in faults] == [
        ("sql/internal", "the statement review.averages is not in the lock"),
        ("sql/internal", "the statement review.gather differs from the lock"),
        ("sql/internal", "the statement review.gone is gone"),
    ]


# An edit of a file, and what is then said of the reasons.
REASONS = [
    (
        "common/outbox.sql",
        r"-- allow-scan: an index on the time.*\n",
        "",
        "outbox.count_old (sqlite): scans event_outbox, as its lock has it",
    ),
    (  # MySQL and MariaDB do not need it.
        "common/tests.sql",
        r"-- allow-scan: SQLite sorts results that have one start.*\n",
        "",
        "tests.find_runs_of_suite (sqlite): sorts test_results, as its lock has it",
    ),
    (
        "common/cards.sql",
        r"(-- The card with this key\.\n)",
        r"\1-- allow-scan: it does not\n",
        "cards.get_by_id: none of its plans reads or sorts a whole growing table",
    ),
    (
        "sqlite/sessions.sql",
        r"(-- A session ends as :status.*\n)",
        r"\1-- allow-scan: it does not\n",
        "sessions.end_session: none of its plans reads or sorts a whole",
    ),
]


def test_a_reason_that_is_missing_or_not_needed_is_seen_without_a_database(tmp_path: Path) -> None:
    locks = {dialect: read_lock(dialect) for dialect in Dialect}
    ours = [load_library(dialect) for dialect in Dialect]
    assert check_reasons(ours, locks) == []
    assert check_reasons(ours, locks | {MYSQL: None}) == []
    shutil.copytree(SQL, tmp_path / "sql")
    for file, old, new, _ in REASONS:
        edit(tmp_path / "sql" / file, old, new)

    faults = check_reasons([read_library(tmp_path / "sql", dialect) for dialect in Dialect], locks)

    found = {str(fault).partition(": ")[2]: fault for fault in faults}
    assert len(found) == len(REASONS), faults
    for file, *_, said in REASONS:
        (fault,) = (fault for text, fault in found.items() if text.startswith(said))
        assert fault.where.startswith(f"sql/{file}:")
        assert (fault.check, "-- allow-scan:" in fault.remedy) == ("plan", True)
    # What is no longer as the lock has it is not judged by it.
    edit(tmp_path / "sql/common/outbox.sql", r"SELECT COUNT\(\*\)", "SELECT COUNT(*) + 1")
    faults = check_reasons([read_library(tmp_path / "sql", dialect) for dialect in Dialect], locks)
    assert not any(fault.where.startswith("sql/common/outbox.sql") for fault in faults)


def edit(file: Path, old: str, new: str) -> None:
    """Replace what a pattern finds first in a file."""
    edited, count = re.subn(old, new, file.read_text("utf-8"), count=1)
    assert count == 1
    file.write_text(edited, "utf-8")


def test_a_migration_that_the_lock_does_not_know_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = read_lock(SQLITE)
    lock["migrations"] = {**lock["migrations"], "0001_initial_schema": "0", "0000_gone": "1"}
    what = [fault.what for fault in check_lock(load_library(SQLITE), lock)]
    assert what == [
        "the migration 0000_gone is gone",
        "the migration 0001_initial_schema differs from the lock",
    ]


def test_a_lock_that_is_missing_or_damaged_is_said_so(tmp_path: Path) -> None:
    (fault,) = check_lock(load_library(SQLITE), read_lock(SQLITE, tmp_path))
    assert str(fault) == "sql/lock/sqlite: (sqlite): there is no lock"
    (tmp_path / "sqlite").mkdir()
    (tmp_path / "sqlite/migrations.json").write_text("[]")
    with pytest.raises(Exception, match=r"sql/lock/sqlite/migrations.json: this is not a lock"):
        read_lock(SQLITE, tmp_path)


def test_sql_lock_writes_what_it_can_and_names_what_is_left(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = {dialect: read_lock(dialect) or {} for dialect in Dialect}
    shutil.copytree(SQL, tmp_path / "sql", ignore=lambda *_: {"lock"})
    folders = {"sql": tmp_path / "sql", "migrations": resource_folder("migrations")}
    monkeypatch.setattr(lock_module.resources, "folder", folders.__getitem__)
    without_types = run("sql", "lock")
    assert without_types.returncode == 1
    assert "hint: add the --url of a PostgreSQL server" in without_types.stderr
    older = {**locks[POSTGRESQL], "migrations": {}}  # the plans need the types that it names
    write_lock(tmp_path / "sql/lock", POSTGRESQL, older)
    plans: list[dict[str, list[Planned]]] = []

    def plans_once(library: Library, manager: DatabaseManager) -> dict[str, list[Planned]]:
        if not plans:
            plans.append(plans_of(library, manager))
        return plans[0]

    monkeypatch.setattr(checking, "plans_of", plans_once)
    done = run("sql", "lock")
    assert done.returncode == 1
    assert "Wrote sql/lock/sqlite" in done.stdout
    assert "the lock of mysql and postgresql is not up to date" in done.stderr
    kept = read_lock(SQLITE)
    assert kept is not None
    assert without(kept, *PLANS) == without(locks[SQLITE], *PLANS)
    for dialect in (MYSQL, POSTGRESQL):
        write_lock(tmp_path / "sql/lock", dialect, locks[dialect])
    # The plans are those of the first time, so a part of the data set does.
    monkeypatch.setattr(target, "rows", lambda *table: islice(dataset.rows(*table), 500))
    assert run("sql", "lock").returncode == 0
