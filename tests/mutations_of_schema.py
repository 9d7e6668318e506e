"""Faults to plant in the migrations, and in the SQL where only the tests of behaviour see them."""

from dataclasses import dataclass
from pathlib import Path

from tests.mutations import Mutation


@dataclass(frozen=True)
class Migration:
    """An edit of one file of ``migrations/``, and the check that sees it.

    ``schema`` compares the migrated database with the tables, ``lint`` reads the files alone,
    ``rollback`` runs each migration and its rollback with rows in the tables.
    """

    file: str
    old: str
    new: str
    check: str
    said: str

    def plant(self, folder: Path) -> None:
        """Make the edit in a copy of the folder."""
        file = folder / self.file
        text = file.read_text("utf-8")
        assert text.count(self.old) >= 1
        file.write_text(text.replace(self.old, self.new, 1), "utf-8")


FIRST = "0001_initial_schema"
MIGRATIONS = {
    "a table that another storage holds": Migration(
        f"mysql/{FIRST}.sql", "(category)\n) ENGINE = InnoDB", "(category)\n) ENGINE = MyISAM",
        "schema", "its storage is",
    ),
    "a rollback that forgets a table": Migration(
        "postgresql/0002_event_outbox.rollback.sql", "DROP TABLE event_counter;\n", "",
        "incomplete-rollback", "it leaves a table: event_counter",
    ),
    "a rollback that does not bring an index back": Migration(
        "mysql/0003_test_history.rollback.sql",
        ",\n    ADD INDEX ix_test_results_run_id (run_id)", "",
        "incomplete-rollback", "it does not bring back an index: ix_test_results_run_id",
    ),
    "a column that old rows have no value for": Migration(
        "mysql/0005_test_tries.sql", " DEFAULT 1", "",
        "required-column", "NOT NULL without a default",
    ),
    "a rollback that leaves a column": Migration(
        "postgresql/0005_test_tries.rollback.sql", ",\n    DROP COLUMN tries", "",
        "rollback", "back to 0004_session_metadata",
    ),
    "a rollback that loses a column's values": Migration(
        "sqlite/0004_session_metadata.rollback.sql", "    error_code,\n    error_message,\n"
        "    created_at,\n    updated_at\nFROM", "    NULL AS error_code,\n    error_message,\n"
        "    created_at,\n    updated_at\nFROM", "rollback", "back to 0003_test_history",
    ),
}  # fmt: skip

# ``said`` is the test that sees it.
BEHAVIOUR = {
    "a session started twice": Mutation(
        "common/sessions.sql", "start_session", "AND status = 'pending'", "AND status <> 'failed'",
        "behaviour", "test_sessions.py",
    ),
    "a duration in another unit": Mutation(
        "mysql/sessions.sql", "end_session", "DIV 1000", "DIV 100",
        "behaviour", "test_sessions.py",
    ),
    "a last_seen that goes back": Mutation(
        "common/devices.sql", "update_last_seen", "last_seen < :last_seen",
        "last_seen > :last_seen",
        "behaviour", "test_devices.py",
    ),
    "a memory problem taken for success": Mutation(
        "common/logs.sql", "find_matching", "    OR status_word = '9240'                    "
        "-- when: without_normal_endings\n", "", "behaviour", "test_logs.py",
    ),
    "a description that stays": Mutation(
        "sqlite/settings.sql", "set_value", "description = EXCLUDED.description",
        "description = settings.description", "behaviour", "test_settings.py",
    ),
    "a PSK that stays": Mutation(
        "common/cards.sql", "clear_psk", "  psk_key_encrypted = NULL,\n", "",
        "behaviour", "test_cards.py",
    ),
    "numbers taken while nothing is published": Mutation(
        "common/outbox.sql", "take_numbers", "\n  AND publishes", "",
        "behaviour", "test_listener.py",
    ),
    "a change named for another": Mutation(
        "common/tests.sql", "compare_runs", "THEN 'regression'", "THEN 'improvement'",
        "behaviour", "test_results.py",
    ),
}  # fmt: skip
