"""SQLite's side of the migrator."""

import re
from collections import Counter
from contextlib import suppress
from typing import Final

from cardlink_sql.database.faults import driver_message
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.files import Direction, SQLMigration


class SQLite(MigrationBackend):
    """SQLite: foreign keys are off while tables are rebuilt, and checked before the commit."""

    dialect = Dialect.SQLITE
    shares = re.compile(r"\s*(?!VACUUM|PRAGMA|ATTACH|DETACH)\w", re.IGNORECASE)

    def prepare(self) -> None:
        """Switch foreign keys off, which SQLite allows only outside a transaction.

        With them on, the DROP TABLE of a rebuild would delete the rows that refer to it.
        """
        self.send("foreign_keys_off")

    def restore(self) -> None:
        """End any open transaction and switch foreign keys on."""
        self.rollback()
        with suppress(self.connection.Error):
            self.send("foreign_keys_on")

    def run_whole(self, migration: SQLMigration, direction: Direction) -> None:
        """Run the statements, then check that every row still has the row that it refers to."""
        before = self._orphans(migration)
        super().run_whole(migration, direction)
        if lost := self._orphans(migration) - before:
            (child, parent), count = lost.most_common(1)[0]
            raise MigrationError(
                f"{count} row(s) of {child} would refer to rows of {parent} that do not exist",
                migration.where,
                "nothing was kept; correct the migration",
            )

    def _orphans(self, migration: SQLMigration) -> Counter[tuple[str, str]]:
        try:
            rows = self.send("orphans").fetchall()
        except self.connection.Error as error:
            raise MigrationError(
                driver_message(error),
                migration.where,
                "nothing was kept; a foreign key must refer to a primary key or a unique one",
            ) from error
        return Counter((child, parent) for child, _rowid, parent, _key in rows)


BACKEND: Final = SQLite
