"""Migrations: yoyo's files and bookkeeping, our connection, locks and journal."""

from cardlink_sql.schema.migrator.runner import Migrator
from cardlink_sql.schema.migrator.state import AppliedMigration, MigrationStatus, PlannedMigration

__all__ = ["AppliedMigration", "MigrationStatus", "Migrator", "PlannedMigration"]
