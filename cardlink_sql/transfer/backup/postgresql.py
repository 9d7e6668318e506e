"""PostgreSQL by its own tools: ``pg_dump``, and ``pg_restore`` with ``psql`` in one transaction."""

from itertools import chain
from pathlib import Path
from typing import Any, Final

from cardlink_sql.database.internal import InternalStatements, quoted
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.connections import own_connection
from cardlink_sql.transfer.backup.container import Payload
from cardlink_sql.transfer.backup.contents import (
    LET_READ,
    TABLES,
    read_contents,
    refuse_difference,
    refuse_nothing,
    refuse_unseen,
)
from cardlink_sql.transfer.backup.manifest import Contents, Manifest, Origin
from cardlink_sql.transfer.backup.scripts import count_copied_rows, lines, without_unknown_settings
from cardlink_sql.transfer.backup.tools import Tool, ToolFailed, find_tool, missing

_SCRIPT: Final = ("--no-owner", "--no-privileges", "--file=-")
_NO_RIGHT: Final = "permission denied", "must be owner", "must be able to SET ROLE"
_PSQL: Final = (
    "--no-psqlrc",
    "--no-password",
    "--quiet",
    "--file=-",
    "--set=ON_ERROR_STOP=1",
    "--set=VERBOSITY=terse",
)
# How a connection that went dead is noticed; libpq has no variables for these.
_DISPENSABLE: Final = ("keepalives", "tcp_user_timeout")


def obstacle(manager: DatabaseManager) -> str | None:
    """Return why ``pg_dump`` cannot be used; None where it can."""
    if untold := _untold_parameters(manager):
        return f"pg_dump cannot be given {untold[0]}"
    tool = _tool(manager, "pg_dump")
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
    """
    with own_connection(manager) as server:
        tool = _tool(manager, "pg_dump", server)
        assert tool is not None  # noqa: S101 - obstacle() has looked
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
    return Origin(
        product="PostgreSQL",
        server_version=version,
        contents=contents,
        schema=schema,
        tool=tool.version,
    )


def _one_schema(tables: list[tuple[str, str]], where: str) -> str:
    schemas = sorted({schema for schema, _ in tables})
    if len(schemas) != 1:
        raise DatabaseError(
            f"the tables are spread over the schemas {', '.join(schemas)}",
            where,
            "move them into one",
        )
    return schemas[0]


def examine(dump: Path, manifest: Manifest, where: str) -> None:
    """Read a dump from end to end and compare it with the manifest, without a database.

    Nothing is compared where there is no ``pg_restore``, which it takes to read one.
    """
    tool = find_tool("pg_restore")
    if tool is None:
        return
    try:
        rows = count_copied_rows(lines(tool.output([*_SCRIPT, str(dump)]), where))
    except ToolFailed as failed:
        said = f"the dump cannot be read: {failed.said.strip()}"
        raise ValidationError(said, where, missing("pg_restore").remedy) from None
    # A script says nothing of the migrations but their table.
    refuse_difference(Contents(manifest.contents.migrations, rows), manifest.contents, where)


def load(
    manager: DatabaseManager, server: InternalStatements, dump: Path, manifest: Manifest
) -> None:
    """Load a dump into an empty database."""
    reader, psql = (_needed(manager, name, server) for name in ("pg_restore", "psql"))
    schema = server.value("backup.schema")
    if schema != manifest.schema:
        raise ValidationError(
            f"the backup's tables are of the schema {manifest.schema}, "
            f"and new tables of this role are made in {schema}",
            manager.config.safe_url,
            "set the role's search_path, or use a backup by --method jsonl",
        )
    known = {name for (name,) in server.rows("backup.settings")}
    made = lines(reader.output([*_SCRIPT, str(dump)]), str(dump))
    script = without_unknown_settings(made, known)
    try:
        # The COMMIT comes last, and a process that is killed sends none: all is rolled back then.
        psql.feed(_PSQL, chain([b"BEGIN;\n"], script, [b"COMMIT;\n"]))
    except ToolFailed as failed:
        raise _fault(failed) from None


def _needed(manager: DatabaseManager, name: str, server: InternalStatements) -> Tool:
    tool = _tool(manager, name, server)
    if tool is None:
        raise missing(name)
    return tool


def _fault(failed: ToolFailed) -> DatabaseError:
    if any(words in failed.said for words in _NO_RIGHT):
        return failed.error("nothing was changed; restore as the owner of the database")
    return failed.error("nothing was changed")


def _tool(
    manager: DatabaseManager, name: str, server: InternalStatements | None = None
) -> Tool | None:
    """Return one of PostgreSQL's programs, ready to reach a database.

    Each parameter of the connection goes by libpq's variable for it, the password among them. Of
    several hosts it reaches the one of ``server``.
    """
    variables = _variables()
    parameters = _parameters(manager)
    if server is not None and manager.config.has_several_hosts:
        host, port = manager.pool.backend.host_of(server.connection)
        parameters |= {"host": host, "port": str(port)}
    environment = {
        variables[keyword]: value for keyword, value in parameters.items() if variables[keyword]
    }
    secrets = [parameters[word] for word in ("password", "sslpassword") if word in parameters]
    return find_tool(name, environment=environment, secrets=secrets)


def _untold_parameters(manager: DatabaseManager) -> list[str]:
    """Return the parameters of the connection that libpq needs and has no variable for."""
    variables = _variables()
    return [
        keyword
        for keyword in _parameters(manager)
        if not variables[keyword] and not keyword.startswith(_DISPENSABLE)
    ]


def _variables() -> dict[str, str]:
    from psycopg import pq

    return {
        option.keyword.decode(): (option.envvar or b"").decode()
        for option in pq.Conninfo.get_defaults()
    }


def _parameters(manager: DatabaseManager) -> dict[str, str]:
    """Return the parameters that the engine connects with, as far as they are libpq's."""
    _, options = manager.engine.dialect.create_connect_args(manager.config.engine_url)
    known = _variables()
    given: dict[str, Any] = {name: value for name, value in options.items() if name in known}
    if "dbname" not in given and manager.config.engine_url.database:
        given["dbname"] = manager.config.engine_url.database
    return {name: str(value) for name, value in given.items()}
