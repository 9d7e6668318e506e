"""The lock of the queries: it is up to date, and sees what is not as it has it."""

import json
import re
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, load_library
from cardlink_sql.queries.library import read_library
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.review import dataset, lock as lock_module, seeding
from cardlink_sql.review.lock import check_lock, check_reasons, make_lock, read_lock, write_lock
from cardlink_sql.review.plans import planner_version, plans_of
from cardlink_sql.review.target import live, scratch
from tests.conftest import Run

SQLITE = Dialect.SQLITE


def without(lock: dict[str, Any], *names: str) -> dict[str, Any]:
    """The queries of a lock without some of what it has of each."""
    return {
        title: {name: value for name, value in entry.items() if name not in names}
        for title, entry in lock["queries"].items()
    }


# What one server's brand says of types, and one planner's version of plans.
TYPES = ("parameters", "columns")
PLANS = ("plan", "scans", "sorts")


def test_the_files_are_as_the_lock_has_them(run: Run) -> None:
    done = run("sql", "check", "--locked")
    assert done.returncode == 0, f"run scripts/lock and review what changed:\n{done.stdout}"


def test_the_lock_is_what_the_database_says(seeded: DatabaseManager) -> None:
    kept = read_lock(seeded.dialect)
    assert kept is not None
    is_sqlite = seeded.dialect is SQLITE
    with scratch(SQLITE) if is_sqlite else live(DatabaseConfig(seeded.config.url)) as target:
        planner = f"{target.asked.server()} {planner_version(seeded)}"
        made = make_lock(target, planner, plans_of(seeded.library, seeded))
    assert without(made, *TYPES, *PLANS) == without(kept, *TYPES, *PLANS), "run scripts/lock"
    if made["server"] == kept["server"]:
        assert without(made, *PLANS) == without(kept, *PLANS), "run scripts/lock"
    if made["planner"] == kept["planner"]:
        assert made == kept, "run scripts/lock"


def test_no_secret_and_no_place_of_a_machine_is_in_a_lock() -> None:
    for dialect in Dialect:
        text = json.dumps(read_lock(dialect))
        assert "://" not in text
        assert str(Path.home()) not in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "WHERE admin_url = :admin_url",
            "WHERE admin_url <> :admin_url",
            ["differs from the lock"],
        ),
        (
            "-- name: find_by_imsi",
            "-- name: find_by_imis",
            ["SQL files do not", "is not in the lock"],
        ),
        ("-- when: atr\n", "-- when: atr, imsi\n", ["differs from the lock"] * 2),
        ("-- The cards that have none.", "-- The cards without a PSK.", []),
        ("  iccid,\n  imsi,", "  iccid, imsi,", ["differs from the lock"]),
        ("WHERE admin_url = :admin_url", "WHERE   admin_url =  :admin_url", []),
    ],
)
def test_a_change_of_a_query_is_seen_and_one_of_its_looks_is_not(
    old: str, new: str, said: list[str], tmp_path: Path
) -> None:
    shutil.copytree(Path(str(resource_folder("sql"))), tmp_path / "sql")
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
    assert lock is not None
    lock["internal"]["review.gather"] = "another"
    lock["internal"]["review.gone"] = lock["internal"].pop("review.averages")
    faults = check_lock(load_library(SQLITE), lock)
    assert [(fault.where, fault.what) for fault in faults] == [
        ("sql/internal", "the statement review.averages is not in the lock"),
        ("sql/internal", "the statement review.gather differs from the lock"),
        ("sql/internal", "the statement review.gone is gone"),
    ]


def libraries(folder: Path) -> list[Library]:
    """The queries of each dialect."""
    return [read_library(folder, dialect) for dialect in Dialect]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("common/outbox.sql", r"(?<=who publish\n)SELECT COUNT", "SELECT COUNT", None),
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
            r"(-- The first sessions that were created.*\n)",
            r"\1-- allow-scan: it does not\n",
            "sessions.find_old: none of its plans reads or sorts a whole",
        ),
        (  # What is no longer as the lock has it is not judged by it.
            "common/outbox.sql",
            r"-- allow-scan: an index on the time.*\nSELECT COUNT\(\*\)",
            "SELECT COUNT(*) + 1",
            None,
        ),
    ],
)
def test_a_reason_that_is_missing_or_not_needed_is_seen_without_a_database(
    file: str, old: str, new: str, said: str | None, tmp_path: Path
) -> None:
    shutil.copytree(Path(str(resource_folder("sql"))), tmp_path / "sql")
    text = (tmp_path / "sql" / file).read_text("utf-8")
    edited, count = re.subn(old, new, text, count=1)
    assert count == 1
    (tmp_path / "sql" / file).write_text(edited, "utf-8")
    locks = {dialect: read_lock(dialect) for dialect in Dialect}
    faults = check_reasons(libraries(tmp_path / "sql"), locks)
    assert len(faults) == (said is not None), faults
    for fault in faults:
        assert said is not None
        assert str(fault).partition(": ")[2].startswith(said)
        assert fault.where.startswith(f"sql/{file}:")
        assert (fault.check, "-- allow-scan:" in fault.remedy) == ("plan", True)


def test_no_reason_is_judged_by_a_lock_that_is_not_there() -> None:
    locks = {dialect: read_lock(dialect) for dialect in Dialect} | {Dialect.MYSQL: None}
    assert check_reasons([load_library(dialect) for dialect in Dialect], locks) == []


def test_a_migration_that_the_lock_does_not_know_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = read_lock(SQLITE)
    assert lock is not None
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
    monkeypatch.setattr(lock_module.resources, "folder", fake_folder(tmp_path))
    with monkeypatch.context() as patch:
        # A part of the data set, to be quick: the plans are compared elsewhere.
        patch.setattr(seeding, "rows", lambda *table: islice(dataset.rows(*table), 500))
        done = run("sql", "lock")
    assert done.returncode == 1
    assert "Wrote sql/lock/sqlite" in done.stdout
    assert "the lock of mysql and postgresql is not up to date" in done.stderr
    kept = read_lock(SQLITE)
    assert kept is not None
    assert without(kept, *PLANS) == without(locks[SQLITE], *PLANS)
    for dialect in (Dialect.MYSQL, Dialect.POSTGRESQL):
        write_lock(tmp_path / "sql/lock", dialect, locks[dialect])
    assert run("sql", "lock").returncode == 0


def fake_folder(tmp_path: Path) -> Callable[[str], Path]:
    """The folders of the package, the one of SQL without its lock."""
    real = resource_folder
    shutil.copytree(Path(str(real("sql"))), tmp_path / "sql", ignore=lambda *_: {"lock"})
    return lambda name: tmp_path / "sql" if name == "sql" else Path(str(real(name)))
