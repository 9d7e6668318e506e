"""PostgreSQL by ``pg_dump``: CardLink's tables of one snapshot."""

from cardlink_sql.database.internal import quoted
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.connections import own_connection
from cardlink_sql.transfer.backup.container import Payload
from cardlink_sql.transfer.backup.contents import (
    LET_READ,
    TABLES,
    read_contents,
    refuse_nothing,
    refuse_unseen,
)
from cardlink_sql.transfer.backup.manifest import Origin
from cardlink_sql.transfer.backup.pg_tools import pg_tool, untold_parameters
from cardlink_sql.transfer.backup.tools import ToolFailed


def obstacle(manager: DatabaseManager) -> str | None:
    """Return why ``pg_dump`` cannot be used; None where it can.

    Raises:
        ConnectionError: the database does not answer.
    """
    if untold := untold_parameters(manager):
        return f"pg_dump cannot be given {untold[0]}"
    tool = pg_tool(manager, "pg_dump")
    if tool is None:
        return "there is no pg_dump on the PATH"
    with own_connection(manager) as server:
        version = str(server.value("backup.version"))
        unreadable = server.rows("backup.unreadable_sequences", tables=list(TABLES))
    if tool.major < int(version.partition(".")[0]):
        return f"{tool.version} is older than the server, {version}"
    if unreadable:
        return f"pg_dump needs a right of the role: GRANT SELECT ON SEQUENCE {unreadable[0][0]}"
    return None


def write_payload(manager: DatabaseManager, payload: Payload) -> Origin:
    """Write a dump of CardLink's tables, in the custom format, and count their rows.

    Both are of one snapshot; writers go on meanwhile, changes to the schema wait.

    Args:
        manager: of the database.
        payload: where to.

    Raises:
        MigrationError: no migration is applied to the database.
        DatabaseError: ``pg_dump`` failed, or the role does not see a table.
    """
    tool = pg_tool(manager, "pg_dump")
    assert tool is not None  # noqa: S101 - obstacle() has looked
    with own_connection(manager) as server:
        server.execute("backup.begin_snapshot")
        server.execute("backup.may_idle")
        snapshot = server.value("backup.export_snapshot")
        contents = read_contents(server)
        refuse_nothing(contents, manager.config.safe_url)
        refuse_unseen(contents, Dialect.POSTGRESQL, manager.config.safe_url)
        tables = server.rows("backup.tables", tables=list(TABLES))
        schema = _one_schema(tables, manager.config.safe_url)
        names = [quoted(Dialect.POSTGRESQL, *table) for table in tables]
        arguments = [
            "--format=custom",
            "--no-password",
            f"--snapshot={snapshot}",
            *(f"--table={name}" for name in names),
        ]
        try:
            for piece in tool.output(arguments):
                payload.write(piece)
        except ToolFailed as failed:
            raise failed.error(LET_READ) from None
        version = str(server.value("backup.version"))
    return Origin("PostgreSQL", version, contents, schema, tool.version)


def _one_schema(tables: list[tuple[str, str]], where: str) -> str:
    schemas = sorted({schema for schema, _ in tables})
    if len(schemas) != 1:
        raise DatabaseError(
            f"the tables are spread over the schemas {', '.join(schemas)}",
            where,
            "move them into one",
        )
    return schemas[0]
