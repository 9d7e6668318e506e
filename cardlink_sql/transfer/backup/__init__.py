"""Backup and restore: one file for every backend."""

from cardlink_sql.transfer.backup.create import Backup, Method, create_backup
from cardlink_sql.transfer.backup.manifest import Contents, Manifest, PayloadKind
from cardlink_sql.transfer.backup.restore import Restored, check_backup, restore_backup
from cardlink_sql.transfer.backup.sqlite import Replaced

__all__ = [
    "Backup",
    "Contents",
    "Manifest",
    "Method",
    "PayloadKind",
    "Replaced",
    "Restored",
    "check_backup",
    "create_backup",
    "restore_backup",
]
