"""The tables of the bookkeeping.

They are yoyo's (``_yoyo_migration``, ``_yoyo_log`` and ``_yoyo_version``, in the shape of its
schema version 2) and one of ours, ``cardlink_migration_journal``: a row per migration, with the
checksum of the file that was applied and, where a migration cannot be one transaction, how many of
its statements are done. Their SQL is in ``sql/internal``.
"""

from typing import Final

MIGRATION_TABLE: Final = "_yoyo_migration"
LOG_TABLE: Final = "_yoyo_log"
VERSION_TABLE: Final = "_yoyo_version"
JOURNAL_TABLE: Final = "cardlink_migration_journal"
BOOKKEEPING_TABLES: Final = (JOURNAL_TABLE, MIGRATION_TABLE, LOG_TABLE, VERSION_TABLE)

YOYO_VERSION: Final = 2
