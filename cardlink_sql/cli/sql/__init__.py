"""``cardlink-db sql``: the statements, for those who review them."""

from cardlink_sql.cli.shared.options import group
from cardlink_sql.cli.sql.checking import check, lock
from cardlink_sql.cli.sql.differing import diff
from cardlink_sql.cli.sql.indexing import indexes
from cardlink_sql.cli.sql.listing import impact, list_queries, show
from cardlink_sql.cli.sql.planning import explain
from cardlink_sql.cli.sql.reporting import report
from cardlink_sql.cli.sql.rights import grants

__all__ = ["sql"]

sql = group(
    "sql", "The statements, for those who review them.", "cardlink-db sql list --gateway sessions"
)


# In the order of the help.
sql.command("list")(list_queries)
for command in (show, explain, check, lock, diff, impact, indexes, report, grants):
    sql.command()(command)
