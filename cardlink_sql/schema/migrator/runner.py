"""The migrator: applies, rolls back, reports and plans migrations."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from cardlink_sql.config import without_secrets
from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.connection_errors import connection_error
from cardlink_sql.database.faults import driver_message
from cardlink_sql.database.sqlite_file import database_file, make_parent_folder, open_read_only
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DriftError, MigrationError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.schema.migrator.backend import MigrationBackend, migration_backend
from cardlink_sql.schema.migrator.bookkeeping import (
    BOOKKEEPING_TABLES,
    MIGRATION_TABLE,
    create_bookkeeping,
    record,
)
from cardlink_sql.schema.migrator.files import Direction, SQLMigration, read_migrations
from cardlink_sql.schema.migrator.mutex import FileLock, held
from cardlink_sql.schema.migrator.mysql import ClusterLock
from cardlink_sql.schema.migrator.run import run
from cardlink_sql.schema.migrator.state import (
    MigrationStatus,
    PlannedMigration,
    State,
    read_state,
    refuse_unrecorded,
)


class Migrator:
    """Migrates one database. Each method reads the files again.

    Args:
        engine: of :func:`cardlink_sql.database.engine.make_engine`.
        dialect: the engine's dialect; it names the folder of its migrations.
        folder: the folder that holds a folder of migrations per dialect; by default the
            package's.
        lock_timeout: seconds to wait for another migrator.
    """

    def __init__(
        self,
        engine: Engine,
        dialect: Dialect,
        *,
        folder: Traversable | Path | None = None,
        lock_timeout: float = 30.0,
    ) -> None:
        self._engine = engine
        self._dialect = dialect
        self._database_backend = backend_of(dialect)
        self._folder = folder
        self._lock_timeout = lock_timeout

    @property
    def newest(self) -> str:
        """Return the id of the last migration file."""
        return str(self._read_files()[-1].id)

    def migrate(self, revision: str | None = None) -> list[str]:
        """Apply the pending migrations; a half-applied one continues where it stopped.

        Args:
            revision: the last one to apply, an id or the beginning of one; by default all.

        Returns:
            The ids applied, in order.

        Raises:
            MigrationError: a file, a statement or the lock failed; it says what was kept.
            DriftError: files and database disagree; nothing was changed.
            ConnectionError: no connection.
        """
        return self._change("apply", lambda state: state.to_apply(revision))

    def rollback(self, revision: str) -> list[str]:
        """Roll back the migrations that were applied after a revision.

        Args:
            revision: the last one to keep, an id or the beginning of one; ``base`` keeps none.

        Returns:
            The ids rolled back, newest first.

        Raises:
            MigrationError: one has no rollback file (nothing was changed); or as
                :meth:`migrate`.
            DriftError: files and database disagree; nothing was changed.
            ConnectionError: no connection.
        """
        return self._change("rollback", lambda state: state.to_roll_back(revision))

    def stamp(self, revision: str | None, differences: Callable[[str], list[str]]) -> list[str]:
        """Record pending migrations as applied without running them.

        Args:
            revision: as :meth:`migrate`.
            differences: returns where the database differs from what the migrations up to an id
                make, a sentence each; called under the lock.

        Returns:
            The ids recorded, in order.

        Raises:
            DriftError: the database differs, or files and records disagree; nothing was recorded.
            MigrationError: a migration is half applied; or as :meth:`migrate`.
            ConnectionError: no connection.
        """
        files = self._read_files()
        with self._locked() as backend:
            is_recorded = MIGRATION_TABLE in backend.table_names()
            state = read_state(backend, files) if is_recorded else State(files)
            going = state.to_stamp(revision)
            if going and (found := differences(going[-1].id)):
                raise DriftError(
                    f"not the schema that the migrations up to {going[-1].id} make: "
                    + "; ".join(found),
                    without_secrets(self._engine.url),
                    "correct the schema, or name the migration that it is the result of; "
                    "nothing was recorded",
                )
            create_bookkeeping(backend)
            with backend.transaction():
                for migration in going:
                    record(backend, migration, "apply")
            return [migration.id for migration in going]

    def status(self) -> MigrationStatus:
        """Return the state of the database. Writes nothing, and takes no lock.

        Raises:
            MigrationError: a file or the bookkeeping's tables cannot be read.
            ConnectionError: no connection.
        """
        return self._read_state().status()

    def plan(self, revision: str | None = None, start: str | None = None) -> list[PlannedMigration]:
        """Return the plan of :meth:`migrate`, or of :meth:`rollback` to an older revision.

        Args:
            revision: as theirs; one before the applied ones plans the rollback to it.
            start: the plan for a database where this is the newest migration, ``base`` for one
                where none is; no database is read.

        Raises:
            MigrationError: as theirs.
            DriftError: files and database disagree.
            ConnectionError: no connection.
        """
        if start is not None:
            return State(self._read_files()).planned_after(start, revision)
        state = self._read_state()
        if revision is not None and state.can_roll_back_to(revision):
            state.check("rollback")
            return [state.planned(file, "rollback") for file in state.to_roll_back(revision)]
        state.check("apply")
        return [state.planned(file, "apply") for file in state.to_apply(revision)]

    def drop_all(self) -> None:
        """Drop the tables of the schema with all their rows, and the bookkeeping.

        Raises:
            MigrationError: a table cannot be dropped; where DDL is transactional, none was.
            ConnectionError: no connection.
        """
        with self._locked() as backend, backend.transaction():
            names = [table.name for table in reversed(metadata.sorted_tables)]
            for name in (*names, *BOOKKEEPING_TABLES):
                backend.send("drop_table", table=name)

    def _change(
        self, direction: Direction, choose: Callable[[State], list[SQLMigration]]
    ) -> list[str]:
        files = self._read_files()
        with self._locked() as backend:
            refuse_unrecorded(backend.table_names())
            create_bookkeeping(backend)
            state = read_state(backend, files)
            state.check(direction)
            going = choose(state)
            for migration in going:
                run(backend, migration, direction, state.unfinished_of(migration))
            return [migration.id for migration in going]

    def _read_files(self) -> list[SQLMigration]:
        folder = self._folder if self._folder is not None else resource_folder("migrations")
        return read_migrations(folder, self._dialect)

    def _read_state(self) -> State:
        files = self._read_files()
        file = database_file(self._engine)
        if file is not None and not file.exists():
            return State(files)
        opened: Any = self._connect() if file is None else open_read_only(file)
        with closing(opened), self._translated():
            connection = opened.driver_connection if file is None else opened
            return read_state(migration_backend(self._dialect, connection), files)

    @contextmanager
    def _locked(self) -> Iterator[MigrationBackend]:
        """Yield a backend under the lock. Its connection is closed, not returned to the pool:
        a migration may have changed the settings of its session."""
        file = database_file(self._engine)
        with ExitStack() as stack:
            stack.enter_context(self._translated())
            # Locked before connecting: the first connection to a new file changes its journal mode.
            if file is not None:
                make_parent_folder(file)
                stack.enter_context(held(FileLock(file), self._lock_timeout))
            pooled = stack.enter_context(closing(self._connect()))
            backend = migration_backend(self._dialect, pooled.driver_connection)
            if file is not None or self._dialect is not Dialect.SQLITE:
                pooled.detach()
            stack.callback(backend.restore)
            stack.enter_context(backend.locked(self._lock_timeout))
            if backend.join_cluster():
                own = stack.enter_context(closing(self._connect()))
                keeper = migration_backend(self._dialect, own.driver_connection)
                own.detach()
                stack.enter_context(held(ClusterLock(backend, keeper), self._lock_timeout))
            backend.prepare()
            yield backend

    def _connect(self) -> Any:
        try:
            return self._engine.raw_connection()
        except (self._database_backend.driver_error, SQLAlchemyError) as error:
            raise connection_error(self._database_backend, error, self._engine.url) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._database_backend.driver_error as error:
            raise MigrationError(
                driver_message(error),
                without_secrets(self._engine.url),
                "check the rights of the user, and that no other program holds a lock",
            ) from error
