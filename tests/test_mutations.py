"""Faults planted one at a time in copies of ``sql/`` and ``migrations/``, and seen.

``--mutations`` plants all of them; otherwise a sample.
"""

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, Query
from cardlink_sql.queries.library import read_library
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.review.answers import (
    Respondent,
    answers_of,
    check_answers,
    compare_answers,
    respondent,
)
from cardlink_sql.review.databases.target import seeded_database
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.lock import read_lock
from cardlink_sql.review.migrations.lint import lint
from cardlink_sql.review.plans import check_plans, planner_version
from cardlink_sql.schema.drift import differences
from cardlink_sql.schema.migrator import Migrator
from tests.conftest import server_url
from tests.mutations import ANSWERS, PLANS, STATIC, Mutation, mutated
from tests.mutations_of_schema import BEHAVIOUR, MIGRATIONS, Migration
from tests.test_review_check import checked
from tests.test_rollbacks import check_rollbacks

ROOT = Path(__file__).parents[1]
SQLITE = Dialect.SQLITE
EVERY: dict[str, Any] = {
    "static": STATIC,
    "plan": PLANS,
    "answers": ANSWERS,
    "migration": MIGRATIONS,
    "behaviour": BEHAVIOUR,
}
SAMPLE = {
    "a column misspelled for all", "two result columns swapped", "a parameter of another type",
    "two columns under each other's name", "a :one with two rows", "ESCAPE left out in one dialect",
    "a hint left out", "a header left out",
    "an order turned round in one dialect", "a count without a filter",
    "a table that another storage holds", "a rollback that forgets a table",
}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Plant all faults, or those of the sample."""
    for kind, mutations in EVERY.items():
        if kind in metafunc.fixturenames:
            every = metafunc.config.getoption("--mutations")
            chosen = {n: m for n, m in mutations.items() if every or n in SAMPLE}
            metafunc.parametrize(kind, chosen.values(), ids=chosen.keys())


def config_of(dialect: Dialect) -> DatabaseConfig:
    """The server on which to make scratch databases."""
    return DatabaseConfig("sqlite:///:memory:" if dialect is SQLITE else server_url(dialect))


def libraries(folder: Path) -> dict[Dialect, Library]:
    """The mutated queries of each dialect."""
    return {dialect: read_library(folder, dialect) for dialect in Dialect}


@pytest.fixture(scope="module")
def filled() -> Iterator[Callable[[Dialect], DatabaseManager]]:
    """Returns a database with the data set of the plans, made once a dialect."""
    with ExitStack() as stack:
        made: dict[Dialect, DatabaseManager] = {}

        def call(dialect: Dialect) -> DatabaseManager:
            if dialect not in made:
                made[dialect] = stack.enter_context(seeded_database(dialect, config_of(dialect)))
            return made[dialect]

        yield call


@pytest.fixture(scope="module")
def asked() -> Iterator[Callable[[Dialect], Respondent]]:
    """Returns a database with the edge rows, made once a dialect."""
    with ExitStack() as stack:
        made: dict[Dialect, Respondent] = {}

        def call(dialect: Dialect) -> Respondent:
            if dialect not in made:
                made[dialect] = stack.enter_context(respondent(config_of(dialect)))
            return made[dialect]

        yield call


def test_there_are_sixty_faults_and_most_are_seen_without_behaviour() -> None:
    assert sum(map(len, EVERY.values())) >= 60
    assert len(BEHAVIOUR) <= 20
    assert {name for mutations in EVERY.values() for name in mutations} >= SAMPLE


def test_a_broken_query_is_seen_by_the_check_that_should(
    static: Mutation, tmp_path: Path, owners: Callable[[Dialect], DatabaseManager]
) -> None:
    folder, line = mutated(tmp_path / "sql", static)
    gateway = Path(static.file).stem
    if static.check == "parse":
        with pytest.raises(QueryError, match=rf"sql/{static.file}:\d+.*{static.said}"):
            libraries(folder)
        return
    for dialect in static.only:
        faults = checked(owners(dialect), read_library(folder, dialect), gateway)
        assert {fault.check for fault in faults} == {static.check, *static.also}, faults
        fault = next((f for f in faults if static.said in f.what), None)
        assert fault is not None, faults
        assert fault.remedy
        if static.check != "dialects":
            assert f"sql/{static.file}:{line}" in fault.where, fault
            assert fault.query == f"{gateway}.{static.query}"


def test_a_plan_that_gets_worse_is_seen(
    plan: Mutation, tmp_path: Path, filled: Callable[[Dialect], DatabaseManager]
) -> None:
    folder, line = mutated(tmp_path / "sql", plan)
    for dialect in plan.only:
        lock, manager = read_lock(dialect), filled(dialect)
        # Only the lock's planner is held to its plans.
        is_locked = lock["planner"].split()[-1] == planner_version(manager)
        if plan.said.startswith("the plan (") and not is_locked:
            continue
        (fault,) = check_plans(read_library(folder, dialect), manager)
        assert (fault.check, fault.dialect) == ("plan", dialect)
        assert fault.query == f"{Path(plan.file).stem}.{plan.query}"
        assert plan.said in fault.what
        assert fault.remedy
        if plan.said.startswith(("reads", "sorts")):
            assert fault.where.startswith(f"sql/{plan.file}:{line}:")
            assert "-- allow-scan: reason" in fault.remedy


def test_other_rows_are_seen(
    answers: Mutation, tmp_path: Path, asked: Callable[[Dialect], Respondent]
) -> None:
    folder, _ = mutated(tmp_path / "sql", answers)
    gateway = Path(answers.file).stem
    queries = {d: one.gateway(gateway) for d, one in libraries(folder).items()}
    _, _, of = answers.query.partition("_")
    names = {answers.query, f"find_{of}", f"page_{of}", f"count_{of}"}
    some = {d: narrowed(d, gateway, every, names) for d, every in queries.items()}
    faults: list[Finding] = list(check_answers(some[SQLITE], asked(SQLITE)))
    reference, _ = answers_of(some[SQLITE], asked(SQLITE))
    for dialect in (Dialect.MYSQL, Dialect.POSTGRESQL):
        own, refused = answers_of(some[dialect], asked(dialect))
        faults += [*refused, *compare_answers(some[dialect], own, reference)]
    assert any(answers.said in fault.what for fault in faults), faults
    assert {fault.check for fault in faults} == {"answers"}
    assert {fault.query for fault in faults} <= {f"{gateway}.{name}" for name in names}


def narrowed(
    dialect: Dialect, gateway: str, queries: Mapping[str, Query], names: set[str]
) -> Library:
    """A library of some queries of a gateway."""
    return Library(dialect, {gateway: {n: queries[n] for n in queries if n in names}})


def test_another_schema_is_seen(
    migration: Migration, tmp_path: Path, make_database: Callable[[Dialect], str]
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(Path(str(resource_folder("migrations"))), folder)
    migration.plant(folder)
    dialect = Dialect(migration.file.partition("/")[0])
    if migration.check not in ("schema", "rollback"):
        (fault,) = lint(folder)
        assert fault.check == migration.check
        assert migration.said in fault.what
        return
    config = DatabaseConfig(make_database(dialect))
    engine = make_engine(config)
    migrator = Migrator(engine, dialect, folder=folder)
    try:
        if migration.check == "rollback":
            with (
                engine.connect() as connection,
                pytest.raises(AssertionError, match=migration.said),
            ):
                check_rollbacks(migrator, connection)
            return
        migrator.migrate()
        found = differences(engine)
    finally:
        engine.dispose()
    assert any(migration.said in sentence for sentence in found), found


def test_another_behaviour_is_seen(behaviour: Mutation, tmp_path: Path) -> None:
    shutil.copytree(Path(str(resource_folder("sql"))), tmp_path / "sql")
    edited, _ = mutated(tmp_path / "edited", behaviour)
    shutil.copy(edited / behaviour.file, tmp_path / "sql" / behaviour.file)
    environment = {**os.environ, "CARDLINK_TEST_SQL": str(tmp_path / "sql")}
    test = f"tests/{behaviour.said}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-x", "-q", "--no-header", test],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert f"FAILED {test}" in done.stdout


def test_an_edit_of_what_is_generated_is_seen(tmp_path: Path) -> None:
    edit = Mutation(
        "common/devices.sql", "count_by", "AND imei = :imei", "AND imsi = :imei", "", ""
    )
    generator = runpy.run_path(str(ROOT / "scripts" / "_generate_sql.py"))["files"]
    shutil.copytree(Path(str(resource_folder("sql"))) / "common", tmp_path / "sql" / "common")
    edited, _ = mutated(tmp_path / "edited", edit)
    shutil.copy(edited / edit.file, tmp_path / "sql" / edit.file)
    generator.__globals__["SQL"] = tmp_path / "sql" / "common"
    changed = [file.name for file, text in generator().items() if file.read_text("utf-8") != text]
    assert changed == ["devices.sql"]
