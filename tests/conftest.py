"""Fixtures: an empty or a migrated database on each backend.

The servers come from ``CARDLINK_TEST_POSTGRESQL_URL`` and ``CARDLINK_TEST_MYSQL_URL``
(``scripts/test`` starts throwaway ones). Each test session makes its own databases
there, and drops them.
"""

import io
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, select
from sqlalchemy.engine import make_url
from xdist.scheduler import LoadScopeScheduling

from cardlink_sql import (
    CardProfile,
    CommLog,
    Device,
    DeviceType,
    Direction,
    TestResult,
    TestStatus,
    UnitOfWork,
)
from cardlink_sql.cli import main
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import tables
from cardlink_sql.queries import resources
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.review.databases.target import seed
from cardlink_sql.review.grants import Role
from cardlink_sql.transfer.backup import restore_backup
from cardlink_sql.transfer.exchange import keys
from tests.cutting_proxy import CuttingProxy
from tests.roles import OWNERS, execute, manager_as, owner_of

SERVER_URLS = {
    Dialect.POSTGRESQL: "CARDLINK_TEST_POSTGRESQL_URL",
    Dialect.MYSQL: "CARDLINK_TEST_MYSQL_URL",
}
ALL_DIALECTS = tuple(Dialect)
COMMAND = Path(sys.executable).parent / "cardlink-db"
# A backend whose files another reads: each writes once and reads once.
ANOTHER = {
    Dialect.SQLITE: Dialect.POSTGRESQL,
    Dialect.POSTGRESQL: Dialect.MYSQL,
    Dialect.MYSQL: Dialect.SQLITE,
}
Run = Callable[..., "Result"]
Restore = Callable[[Dialect, Path], DatabaseManager]
Migrated = Callable[[Dialect], DatabaseManager]
MakeDatabase = Callable[[Dialect], str]

# A script may start the tests in the background with these ignored, and interrupts are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A copy of sql/ with a planted fault, which a test must see.
if planted := os.environ.get("CARDLINK_TEST_SQL"):
    resources.folder = lambda name: (
        Path(planted) if name == "sql" else resource_folder(name)  # type: ignore[arg-type]
    )

# The migrations of the layer, in their order.
MIGRATIONS = sorted(
    file.name.removesuffix(".sql")
    for file in resource_folder("migrations").joinpath(Dialect.SQLITE.value).iterdir()
    if file.name.endswith(".sql") and not file.name.endswith(".rollback.sql")
)

# An example has no deadline on a busy machine, and shares the fixtures of its test.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")

# A time with microseconds, for records that need one.
MOMENT = datetime(2026, 3, 29, 0, 59, 59, 987654, UTC)


# What a file builds for all its tests takes seconds, so one worker runs them; files of one
# value share what they build.
BUILT_BY = {
    "test_mutations": "mutations",
    "test_packaging": "packaging",
    "test_query_statistics": "query statistics",
    "test_report": "report",
    "test_review_plans": "data set of the plans",
    "test_server_settings": "settings of servers",
    "test_servers": "servers",
    "test_table_locks": "table locks",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take long, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.stem not in BUILT_BY)


class Scheduling(LoadScopeScheduling):
    """Gives a worker a test with all its parameters, or whole files of :data:`BUILT_BY`."""

    def _split_scope(self, nodeid: str) -> str:
        return BUILT_BY.get(Path(nodeid.partition("::")[0]).stem, nodeid.partition("[")[0])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--mutations``, which plants every fault of ``test_mutations.py``."""
    parser.addoption("--mutations", action="store_true", help="plant every fault, not a sample")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Choose how the tests are shared among the workers."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def server_url(dialect: Dialect) -> str:
    """The server's URL; without one the test cannot run."""
    variable = SERVER_URLS[dialect]
    url = os.environ.get(variable)
    if not url:
        cannot_run(f"no {dialect} server: set {variable}, or run scripts/test, which starts one")
    return url


def cannot_run(reason: str) -> NoReturn:
    """End a test for what it lacks: it fails under CI and is skipped, visibly, elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for a condition; return its value once it holds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)
    return found


@contextmanager
def empty_database(dialect: Dialect, folder: Path) -> Iterator[str]:
    """The URL of a new, empty database, which is dropped afterwards."""
    name = f"cardlink_test_{uuid.uuid4().hex[:12]}"
    if dialect is Dialect.SQLITE:
        yield f"sqlite:///{folder / name}.db"
        return
    server = DatabaseConfig(server_url(dialect)).engine_url
    admin = create_engine(server, isolation_level="AUTOCOMMIT", pool_size=1)
    force = " WITH (FORCE)" if dialect is Dialect.POSTGRESQL else ""
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        url = make_url(server_url(dialect)).set(database=name)
        if dialect is Dialect.POSTGRESQL:
            _revoke_create(DatabaseConfig(url.render_as_string(hide_password=False)))
        yield url.render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}{force}")
        admin.dispose()


def _revoke_create(config: DatabaseConfig) -> None:
    """Take from everybody what only PostgreSQL before 15 gives: to make tables in ``public``."""
    with DatabaseManager(config) as manager:
        execute(manager, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")


@pytest.fixture(params=ALL_DIALECTS, ids=str)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each backend in turn."""
    chosen: Dialect = request.param
    return chosen


def on(*dialects: Dialect) -> pytest.MarkDecorator:
    """Run a test on these backends: the others cannot do it, or do not differ."""
    return pytest.mark.parametrize("dialect", dialects, ids=str, indirect=True)


# For what does not depend on the database, and starts processes or takes long.
on_sqlite = on(Dialect.SQLITE)
on_mysql = on(Dialect.MYSQL)
on_postgresql = on(Dialect.POSTGRESQL)
on_servers = on(Dialect.POSTGRESQL, Dialect.MYSQL)


@pytest.fixture
def sqlite() -> Dialect:
    """The ``dialect`` of a file of commands, whose queries the tests of the gateways hold."""
    return Dialect.SQLITE


@pytest.fixture
def make_database(tmp_path: Path) -> Iterator[Callable[[Dialect], str]]:
    """Makes empty databases for this test; returns their URLs."""
    with ExitStack() as stack:
        yield lambda dialect: stack.enter_context(empty_database(dialect, tmp_path))


@pytest.fixture
def empty_url(dialect: Dialect, make_database: Callable[[Dialect], str]) -> str:
    """The URL of an empty database on each backend in turn."""
    return make_database(dialect)


@pytest.fixture(scope="session", autouse=True)
def scrypt() -> Iterator[dict[str, int]]:
    """Lets a passphrase cost little here; returns what it costs elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        usual = dict(keys._SCRYPT)
        patch.setitem(keys._SCRYPT, "n", 2**10)
        yield usual


@pytest.fixture(scope="session")
def owners(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Dialect], DatabaseManager]]:
    """Returns the manager that made and migrated each backend's database, once."""
    managers: dict[Dialect, DatabaseManager] = {}
    with ExitStack() as stack:

        def manager_of(dialect: Dialect) -> DatabaseManager:
            if dialect not in managers:
                folder = tmp_path_factory.mktemp(dialect.value)
                config = DatabaseConfig(stack.enter_context(empty_database(dialect, folder)))
                keyring = Keyring([Keyring.generate()])
                managers[dialect] = stack.enter_context(DatabaseManager(config, keyring=keyring))
                managers[dialect].create_tables()
            return managers[dialect]

        yield manager_of


@pytest.fixture(scope="session")
def migrated(
    owners: Callable[[Dialect], DatabaseManager],
) -> Iterator[Callable[[Dialect], DatabaseManager]]:
    """Returns a manager of each backend's migrated database.

    On a server it has the role ``app``: whatever a test does, it does with no more rights than
    ``cardlink-db sql grants --role app`` prints.
    """
    managers: dict[Dialect, DatabaseManager] = {}
    with ExitStack() as stack:

        def manager_of(dialect: Dialect) -> DatabaseManager:
            if dialect not in managers:
                owner = owners(dialect)
                OWNERS[owner.config.engine_url.database] = owner
                managers[dialect] = (
                    owner
                    if dialect is Dialect.SQLITE
                    else stack.enter_context(manager_as(owner, Role.APP))
                )
            return managers[dialect]

        yield manager_of


@pytest.fixture
def manager(
    dialect: Dialect, migrated: Callable[[Dialect], DatabaseManager]
) -> Iterator[DatabaseManager]:
    """A migrated database without rows, on each backend in turn."""
    of_backend = migrated(dialect)
    yield of_backend
    for kind, handler in of_backend.events._registered:
        of_backend.events.off(kind, handler)
    for observer in of_backend.statements._registered:
        of_backend.statements.off(observer)
    of_backend.publisher.know(is_on=False)
    delete_rows(of_backend)


@pytest.fixture
def url(manager: DatabaseManager) -> str:
    """The URL of ``manager``."""
    return manager.config.url


@pytest.fixture
def proxy(manager: DatabaseManager) -> Iterator[CuttingProxy]:
    """A proxy before the server of ``manager``."""
    made = CuttingProxy(manager)
    yield made
    made.close()


@pytest.fixture
def owner(dialect: Dialect, owners: Callable[[Dialect], DatabaseManager]) -> DatabaseManager:
    """The manager that made the database of ``manager`` and may do anything."""
    return owners(dialect)


@pytest.fixture(scope="module", params=ALL_DIALECTS, ids=str)
def seeded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseManager]:
    """A database with the data set of the plan check, on each backend in turn."""
    folder = tmp_path_factory.mktemp("seeded")
    with (
        empty_database(request.param, folder) as url,
        DatabaseManager(DatabaseConfig(url)) as manager,
    ):
        manager.create_tables()
        seed(manager)
        yield manager


# Whether each table has rows, by its name: most tests fill a few.
FILLED = select(*(one.select().exists().label(one.name) for one in tables.metadata.sorted_tables))


def delete_rows(manager: DatabaseManager) -> None:
    """Delete every row of every table, whatever the manager's role may do."""
    with owner_of(manager).engine.begin() as connection:
        is_filled = connection.execute(FILLED).one()
        for table in reversed(tables.metadata.sorted_tables):
            if getattr(is_filled, table.name):
                connection.execute(table.delete())


@pytest.fixture
def uow(manager: DatabaseManager) -> Iterator[UnitOfWork]:
    """A unit of work on a migrated database without rows; rolled back after the test."""
    with UnitOfWork(manager) as open_work:
        yield open_work


@pytest.fixture
def restored(make_database: Callable[[Dialect], str]) -> Iterator[Restore]:
    """Restores a backup into a new database on a backend and returns its manager."""
    with ExitStack() as stack:

        def call(dialect: Dialect, file: Path) -> DatabaseManager:
            config = DatabaseConfig(make_database(dialect))
            manager = stack.enter_context(DatabaseManager(config))
            assert restore_backup(manager, file).replaced is None
            return manager

        yield call


@dataclass
class Result:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``cardlink-db`` in an empty folder, with nobody at the keyboard."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    # On a busy machine, quick work would report its progress.
    monkeypatch.setattr("cardlink_sql.cli.shared.progress._QUIET_SECONDS", 60)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("CARDLINK_ENCRYPTION_KEY", raising=False)

    def call(*arguments: str, **environment: str) -> Result:
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            for name, value in environment.items():
                patch.setenv(name, value)
            main(list(arguments))
        printed = capsys.readouterr()
        return Result(int(ended.value.code or 0), printed.out, printed.err)

    return call


def iccid(number: int = 1) -> str:
    """An ICCID of 19 digits."""
    return f"8949{number:015d}"


def session_id(number: int = 1) -> str:
    """A UUID."""
    return str(uuid.UUID(int=number))


def device(number: int = 1, **fields: Any) -> Device:
    """A phone named by its number."""
    return Device(**{"id": f"device-{number:04d}", "device_type": DeviceType.PHONE, **fields})


def card(number: int = 1, **fields: Any) -> CardProfile:
    """A card with the ICCID of its number."""
    return CardProfile(**{"iccid": iccid(number), **fields})


def entry(session: str = session_id(), raw_data: str = "00A40004", **fields: Any) -> CommLog:
    """A command of a session."""
    return CommLog(
        **{
            "session_id": session,
            "direction": Direction.COMMAND,
            "raw_data": raw_data,
            "timestamp": MOMENT,
            **fields,
        }
    )


def result(number: int = 1, **fields: Any) -> TestResult:
    """A passed test of the run ``run`` that took a second."""
    return TestResult(
        **{
            "id": session_id(number),
            "run_id": "run",
            "suite_name": "suite",
            "test_name": f"test_{number:04d}",
            "status": TestStatus.PASSED,
            "started_at": MOMENT,
            "duration_ms": 1000,
            **fields,
        }
    )


def add(manager: DatabaseManager, *records: Any) -> None:
    """Store records in this order, in one transaction."""
    with UnitOfWork(manager) as uow:
        gateways = {
            gateway.record: gateway
            for gateway in (uow.devices, uow.cards, uow.sessions, uow.logs, uow.tests)
        }
        for record in records:
            gateways[type(record)].create(record)
        uow.commit()


@contextmanager
def committed(manager: DatabaseManager) -> Iterator[UnitOfWork]:
    """A unit of work that is committed at the end of the block."""
    with UnitOfWork(manager) as uow:
        yield uow
        uow.commit()


def device_ids(manager: DatabaseManager) -> list[str]:
    """The ids of the devices that are committed."""
    return [row[0] for row in dump(manager)["devices"]]


def dump(manager: DatabaseManager) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as committed."""
    with manager.engine.connect() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(table.select().order_by(*table.primary_key))
            ]
            for table in tables.metadata.sorted_tables
        }
