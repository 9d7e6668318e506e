"""What a server counted of each query: found by its name, or by its words on MariaDB."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import (
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    Dialect,
    QueryError,
    UnitOfWork,
)
from cardlink_sql.cli import query_snapshot
from cardlink_sql.cli.query_snapshot import Since, compare_and_keep
from cardlink_sql.cli.query_statistics import show_query_statistics
from cardlink_sql.model.times import utc_now
from cardlink_sql.operations.digests import Digests
from cardlink_sql.operations.query_statistics import (
    QueryFigures,
    QueryStatistics,
    take_query_statistics,
)
from cardlink_sql.queries import Library, Query, Rows, load_library
from cardlink_sql.queries.library import read_library
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.review.check import check_queries
from cardlink_sql.review.databases.samples import placeholders
from cardlink_sql.review.grants import Role
from tests.conftest import Run, cannot_run, device, empty_database, server_url
from tests.roles import ask, execute, manager_as
from tests.test_review_check import describing

MYSQL, POSTGRESQL = Dialect.MYSQL, Dialect.POSTGRESQL
DIGESTS = "performance_schema.events_statements_summary_by_digest"


def is_mariadb(manager: DatabaseManager) -> bool:
    return "MariaDB" in str(manager.health_check()["server_version"])


@pytest.fixture(scope="module", params=[MYSQL, POSTGRESQL], ids=str)
def counting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseManager]:
    """A migrated database of a server that has counted the statements of :func:`work`."""
    count = count_on_postgresql if request.param is POSTGRESQL else count_on_mysql
    with (
        empty_database(request.param, tmp_path_factory.mktemp("counting")) as url,
        DatabaseManager(DatabaseConfig(url)) as manager,
        count(manager),
    ):
        manager.create_tables()
        work(manager)
        yield manager


@contextmanager
def count_on_postgresql(manager: DatabaseManager) -> Iterator[None]:
    """Statements of the database are counted within the block."""
    try:
        execute(manager, "CREATE EXTENSION pg_stat_statements")
        execute(manager, "SELECT COUNT(*) FROM pg_stat_statements")
    except manager.driver_errors as error:
        cannot_run(f"the PostgreSQL server counts no statements: {error}")
    yield


@contextmanager
def count_on_mysql(manager: DatabaseManager) -> Iterator[None]:
    """Statements of the database are counted within the block, and nobody makes room meanwhile."""
    if ask(manager, "SELECT @@performance_schema") != [(1,)]:
        cannot_run("the MySQL server counts no statements: performance_schema is off")
    turn = manager.take_connection()
    cursor = turn.cursor()
    cursor.execute("SELECT GET_LOCK('cardlink_test_digests', 60)")
    try:
        if ask(manager, f"SELECT 1 FROM {DIGESTS} WHERE digest IS NULL"):
            try:  # the other tests have filled it
                cursor.execute(f"TRUNCATE TABLE {DIGESTS}")
            except manager.driver_errors as error:
                cannot_run(f"the MySQL server has no room to count statements: {error}")
        yield
    finally:
        turn.invalidate()  # and with it the lock
        turn.close()


def work(manager: DatabaseManager) -> None:
    """Three devices made, two reads, and what is no query of the layer."""
    with UnitOfWork(manager) as uow:
        uow.devices.create_all(map(device, range(3)))
        uow.commit()
        uow.devices.find_by(device_type="phone")
        uow.devices.find_by(device_type="phone", is_active=True)
    ask(manager, "SELECT COUNT(*) FROM devices")


def test_calls_times_and_rows_of_each_query(counting: DatabaseManager) -> None:
    with DatabaseManager(DatabaseConfig(server_url(counting.dialect))) as elsewhere:
        ask(elsewhere, "SELECT /* cardlink:devices.create */ 1")
    found = take_query_statistics(counting)
    created, read = found.queries["devices.create"], found.queries["devices.find_by"]
    assert (created.calls, created.rows) == (3, 3)
    assert (read.calls, read.rows) == (2, 6)
    for one in (*found.queries.values(), found.others):
        assert 0 < one.longest_ms <= one.total_ms
        assert one.mean_ms == pytest.approx(one.total_ms / one.calls)
    totals = [one.total_ms for one in found.queries.values()]
    assert totals == sorted(totals, reverse=True)
    assert found.is_approximate is is_mariadb(counting)
    again = take_query_statistics(counting)
    assert found.others is not None
    assert again.others is not None
    assert again.queries["devices.create"] == created


def test_the_command(
    counting: DatabaseManager,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    stats = ("stats", "--queries", "-d", counting.config.url)
    shown = run(*stats)
    assert shown.returncode == 0
    lines = [line.split() for line in shown.stdout.splitlines() if line.strip()]
    assert lines[0] == ["Query", "calls", "total", "ms", "mean", "ms", "longest", "ms", "rows"]
    (created,) = (line for line in lines if line[0] == "devices.create")
    assert (created[1], created[-1]) == ("3", "3")
    assert any(line[:2] == ["all", "others"] for line in lines)
    assert ("MariaDB keeps no comments" in shown.stdout) is is_mariadb(counting)

    document = json.loads(run(*stats, "--json").stdout)
    assert document.keys() == {"is_approximate", "queries", "others", "lost", "since"}
    figures = {"calls", "total_ms", "mean_ms", "longest_ms", "rows"}
    assert document["others"].keys() == figures
    assert all(one.keys() == {"query", *figures} for one in document["queries"])
    assert "devices.create" in {one["query"] for one in document["queries"]}
    assert len(json.loads(run(*stats, "--json", "--limit", "1").stdout)["queries"]) == 1

    show_query_statistics(counting, 1, tmp_path / "last.json", as_json=False)
    assert "more; --limit shows them." in capsys.readouterr().out
    (kept,) = (tmp_path / "state" / "cardlink-db").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_got_slower_or_more_frequent_since_the_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(hour: int, **queries: tuple[int, float]) -> Since | None:
        """Counters at an hour: the calls of a query, and their ms in all."""
        at = datetime(2026, 1, 1, hour, tzinfo=UTC)
        monkeypatch.setattr(query_snapshot, "utc_now", lambda: at)
        counted = {
            name: QueryFigures(calls, ms, ms / calls, ms, calls)
            for name, (calls, ms) in queries.items()
        }
        figures = QueryStatistics(counted, None, 0, is_approximate=False)
        return compare_and_keep(figures, tmp_path / "new" / "last.json")

    assert taken(0, same=(10, 10.0), slower=(10, 10.0), often=(10, 10.0)) is None
    first = taken(
        1,
        same=(20, 20.0),
        slower=(20, 40.0),
        often=(20, 20.0),
        rare=(1, 90.0),
        costly=(2, 200.0),
        added=(5, 5.0),
    )
    assert [(one.query, one.mean_ms_before, one.mean_ms) for one in first.queries] == [
        ("slower", 1.0, 3.0),
        ("costly", None, 100.0),
        ("added", None, 1.0),
    ]
    # The server has begun to count again: 10 calls of "slower" are all new.
    second = taken(2, same=(30, 30.0), slower=(10, 10.0), often=(60, 60.0), rare=(2, 92.0))
    assert second.taken_at == "2026-01-01T01:00:00+00:00"
    assert [
        (one.query, one.calls_per_hour_before, one.calls_per_hour) for one in second.queries
    ] == [("often", 10.0, 40.0)]
    (tmp_path / "new" / "last.json").write_text("[]")
    with pytest.raises(DatabaseError, match="not a snapshot"):
        taken(3)


def test_what_reads_the_counts_is_checked_where_they_are(counting: DatabaseManager) -> None:
    server = {"server": counting.library.gateway("server")}
    with describing(counting) as asked:
        checked = check_queries(Library(counting.dialect, server), asked)
    assert checked.faults == []
    # One of MySQL and MariaDB is there.
    assert len(checked.notes) == (1 if is_mariadb(counting) else 0)
    assert all("query_sample_text" in note for note in checked.notes)


def test_a_role_without_the_right_is_told_which(counting: DatabaseManager) -> None:
    grant, said = {
        POSTGRESQL: ("GRANT pg_read_all_stats TO {}", "grant it pg_read_all_stats"),
        MYSQL: (f"GRANT SELECT ON {DIGESTS} TO '{{}}'@'%'", f"grant the role SELECT ON {DIGESTS}"),
    }[counting.dialect]
    with manager_as(counting, Role.READER) as reader:
        with pytest.raises(QueryError) as refused:
            take_query_statistics(reader)
        assert refused.value.remedy == said
        execute(counting, grant.format(reader.config.engine_url.username))
        # A role that a session has is settled when it begins.
        reader.pool.discard()
        assert take_query_statistics(reader).queries["devices.create"].calls == 3


@pytest.mark.parametrize("dialect", [POSTGRESQL], ids=str, indirect=True)
def test_a_database_without_the_extension_is_told_how_to_get_it(
    manager: DatabaseManager, run: Run
) -> None:
    refused = run("stats", "--queries", "-d", manager.config.url)
    assert refused.returncode == 1
    first, second = refused.stderr.splitlines()
    assert first.endswith(
        'shows no counts of statements here: relation "pg_stat_statements" does not exist'
    )
    assert "add pg_stat_statements to shared_preload_libraries in postgresql.conf" in second
    assert "CREATE EXTENSION pg_stat_statements" in second


@contextmanager
def edited(manager: DatabaseManager, folder: Path, **edits: str) -> Iterator[DatabaseManager]:
    """A manager of the same database whose ``sql/mysql/server.sql`` has other statements.

    Args:
        manager: of a MySQL server.
        folder: for the files.
        edits: by a query's name, what stands from the same word on in its statement.
    """
    shutil.copytree(Path(str(resource_folder("sql"))), folder / "sql")
    file = folder / "sql/mysql/server.sql"
    text = file.read_text("utf-8")
    for name, new in edits.items():
        start = text.index(f"\n{new.split()[0]} ", text.index(f"-- name: {name} :"))
        text = f"{text[:start]}\n{new}{text[text.index(';', start) :]}"
    file.write_text(text, "utf-8")
    with DatabaseManager(manager.config) as other:
        other.library = read_library(folder / "sql", MYSQL)
        yield other


@pytest.mark.parametrize("dialect", [MYSQL], ids=str, indirect=True)
def test_a_server_whose_performance_schema_is_off_is_told_so(
    manager: DatabaseManager, tmp_path: Path
) -> None:
    with (
        edited(manager, tmp_path, has_performance_schema="SELECT 0") as other,
        pytest.raises(QueryError, match="its performance_schema is off") as refused,
    ):
        take_query_statistics(other)
    assert "performance_schema = ON below [mysqld]" in str(refused.value.remedy)


# As MySQL 8 has them, for the tests may run on MariaDB.
SAMPLES = """FROM (
  SELECT
    NULL AS digest, NULL AS query_sample_text, NULL AS digest_text, 70 AS count_star,
    4e9 AS sum_timer_wait, 2e9 AS max_timer_wait, 3 AS sum_rows_sent, 0 AS sum_rows_affected,
    NULL AS schema_name
  UNION ALL
  SELECT 'a', 'SELECT /* cardlink:devices.find_by */\nid', '1', 2, 4e9, 3e9, 5, 0, DATABASE()
  UNION ALL
  SELECT 'b', 'SELECT /* cardlink:devices.find_by */ x', '2', 1, 5e9, 5e9, 1, 0, DATABASE()
  UNION ALL
  SELECT 'c', 'UPDATE /* cardlink:cards.update */ y', '3', 1, 8e9, 8e9, 0, 1, DATABASE()
  UNION ALL
  SELECT 'd', 'SELECT ''/* cardlink:a.b */''', '4', 1, 1e9, 1e9, 1, 0, DATABASE()
  UNION ALL
  SELECT 'e', NULL, 'COMMIT', 1, 1e9, 1e9, 0, 0, DATABASE()
  UNION ALL
  SELECT 'f', 'SELECT /* cardlink:devices.find_by */ x', '5', 1, 1e9, 1e9, 1, 0, 'elsewhere'
) d
WHERE d.schema_name = DATABASE() OR d.digest IS NULL"""


@pytest.mark.parametrize("dialect", [MYSQL], ids=str, indirect=True)
def test_mysql_has_the_name_in_its_samples(manager: DatabaseManager, tmp_path: Path) -> None:
    edits = {"version": "SELECT '8.0.36'", "has_performance_schema": "SELECT 1"}
    with edited(manager, tmp_path, **edits, read_digest_samples=SAMPLES) as other:
        found = take_query_statistics(other)
    assert [
        (name, one.calls, round(one.total_ms, 6), round(one.mean_ms, 6), one.rows)
        for name, one in found.queries.items()
    ] == [("devices.find_by", 3, 9, 3, 6), ("cards.update", 1, 8, 8, 1)]
    assert (found.others.calls, found.lost, found.is_approximate) == (2, 70, False)


@pytest.mark.parametrize("dialect", [MYSQL, POSTGRESQL], ids=str, indirect=True)
def test_what_is_not_there_is_noted_and_no_fault(manager: DatabaseManager, run: Run) -> None:
    checked = run("sql", "check", "-d", manager.config.url)
    notes = [line.split()[1] for line in checked.stderr.splitlines() if "is not checked" in line]
    needy = [q.title for q in load_library(manager.dialect).all() if q.source.needs]
    assert checked.returncode == 0, checked.stdout
    assert notes == needy
    title = needy[0]
    needs = manager.library.query(*title.split(".")).source.needs
    assert f"-- needs: {needs}\n" in run("sql", "show", title).stdout
    refused = run("sql", "explain", title, "-d", manager.config.url)
    assert f"hint: it needs {needs}" in refused.stderr


@contextmanager
def own_history(manager: DatabaseManager) -> Iterator[Callable[[str], str]]:
    """Runs a statement and gives its digest's text, by MariaDB's history of a connection."""
    consumers = "('events_statements_current', 'events_statements_history')"
    where = f"performance_schema.setup_consumers SET enabled = '{{}}' WHERE name IN {consumers}"
    history = """
        SELECT h.digest_text FROM performance_schema.events_statements_history h
        JOIN performance_schema.threads t ON t.thread_id = h.thread_id
        WHERE t.processlist_id = CONNECTION_ID() ORDER BY h.event_id DESC LIMIT 1"""
    execute(manager, f"UPDATE {where.format('YES')}")
    pooled = manager.take_connection()
    cursor = pooled.cursor()

    def digest(sql: str, values: Any = ()) -> str:
        cursor.execute(sql, values)
        cursor.fetchall()
        cursor.execute(history)
        return str(cursor.fetchall()[0][0])

    try:
        yield digest
    finally:
        pooled.close()
        execute(manager, f"UPDATE {where.format('NO')}")


def forms(query: Query) -> Iterator[tuple[str, Any]]:
    """The statement as it is sent, bare, with all its conditions, with each and in each order."""
    whens = [line.when for line in query.source.lines if line.when]
    for given in dict.fromkeys([frozenset[str](), frozenset(chain(*whens)), *whens]):
        values = placeholders(query, query.required | given, utc_now())
        statement = query.statement(values)
        yield statement.sql, statement.pick(values)
    values = placeholders(query, query.required, utc_now())
    for order in query.orders:
        yield query.statement(values, order).sql, query.statement(values, order).pick(values)
    if query.rows is Rows.BATCH:
        yield query.for_rows(3), [None] * 3 * len(query.as_written().names)


@pytest.mark.parametrize("counting", [MYSQL], ids=str, indirect=True)
def test_every_query_is_found_by_its_digest(counting: DatabaseManager) -> None:
    if not is_mariadb(counting):
        pytest.skip("MySQL keeps the names of the queries, and MariaDB their digests alone")
    library = counting.library
    digests = Digests(library)
    ambiguous = set()
    with own_history(counting) as digest:
        for query in library.all():
            if query.source.needs and "query_sample_text" in query.source.needs:
                continue
            for sql, values in forms(query):
                explained, _, text = digest(f"EXPLAIN {sql}", values).partition(" ")
                assert explained == "EXPLAIN"
                found = digests.find(text)
                assert query.title in found, text
                ambiguous.update([" or ".join(found)] if len(found) > 1 else [])
        for other in ("SELECT 1", "SELECT id FROM devices", "SHOW WARNINGS"):
            assert digests.find(digest(other)) == []
    # Few, for two queries with the same words are hardly wanted.
    assert len(ambiguous) <= 10, ambiguous
    assert "cards.page_after or cards.search" in ambiguous
