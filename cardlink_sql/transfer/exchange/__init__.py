"""Export and import: the tables as files, whole and checked, between any two databases.

:func:`export` writes what a :class:`Selection` takes, :func:`import_file` reads it back.
"""

from cardlink_sql.transfer.exchange.export import Selection, export
from cardlink_sql.transfer.exchange.formats import Format
from cardlink_sql.transfer.exchange.importing import ImportReport, import_file
from cardlink_sql.transfer.exchange.keys import Keys
from cardlink_sql.transfer.exchange.table_writers import Conflict, TableReport

__all__ = [
    "Conflict",
    "Format",
    "ImportReport",
    "Keys",
    "Selection",
    "TableReport",
    "export",
    "import_file",
]
