"""PostgreSQL by its own tools: ``pg_dump``, and ``pg_restore`` with ``psql`` in one transaction.

``pg_restore`` writes the rows in blocks, ``COPY table (columns) FROM stdin;`` to ``\\.``, a row a
line; a line break in a value is written as ``\\n``.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.internal import InternalStatements, quoted
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.contents import TABLES, own_connection, read_contents
from cardlink_sql.transfer.backup.manifest import Contents, Manifest, PayloadKind
from cardlink_sql.transfer.backup.payload import Payload
from cardlink_sql.transfer.backup.refusals import LET_READ, refuse_difference, refuse_unseen
from cardlink_sql.transfer.backup.tools import (
    Tool,
    ToolError,
    UnusableToolError,
    find_tool,
    lines,
    missing,
)

_LOCK_TIMEOUT: Final = LOCK_TIMEOUT_MS / 1000
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
_DISPENSABLE: Final = (b"keepalives", b"tcp_user_timeout")
# A tool has a name of its kind, and dumps in the encoding of the database.
_OURS: Final = (b"application_name", b"client_encoding")
_COPY: Final = re.compile(rb"COPY (?:.*\.)?(?P<table>\w+) \(.*\) FROM stdin;\n")
_COPY_END: Final = b"\\.\n"
_SETTING: Final = re.compile(rb"SET (?P<name>\w+) = .*;\n")


class PostgreSQLDump(Payload):
    """A dump of ``pg_dump`` in its custom format."""

    kind = PayloadKind.PG_DUMP

    def writer(self, manager: DatabaseManager, folder: Path) -> Callable[[IO[bytes]], Manifest]:
        tool = find_tool("pg_dump")
        with own_connection(manager) as server:
            version = str(server.value("backup.version"))
            unreadable = server.rows("backup.unreadable_sequences", tables=list(TABLES))
            untold = [
                option.keyword.decode()
                for option in _parameters(server)
                if not option.envvar
                and option.val != option.compiled
                and not option.keyword.startswith(_DISPENSABLE)
            ]
        if untold:
            raise UnusableToolError(f"pg_dump cannot be given {untold[0]}", manager)
        if tool is None:
            raise UnusableToolError("there is no pg_dump on the PATH", manager)
        if tool.major < int(version.partition(".")[0]):
            raise UnusableToolError(f"{tool.version} is older than the server, {version}", manager)
        if unreadable:
            what = f"pg_dump needs a right of the role: GRANT SELECT ON SEQUENCE {unreadable[0][0]}"
            raise UnusableToolError(what, manager)
        return partial(_write, manager, tool)

    def examine(self, backup: Container) -> None:
        """Compare the rows of a dump with the manifest, where there is a ``pg_restore``."""
        with backup.unpacked() as dump:
            _examine(dump, backup)

    def load(self, manager: DatabaseManager, backup: Container) -> None:
        """Load a dump in one transaction."""
        with backup.unpacked() as dump, own_connection(manager) as server:
            _examine(dump, backup)
            with migration_backend(Dialect.POSTGRESQL, server.connection).locked(_LOCK_TIMEOUT):
                _load(manager, server, dump, backup.manifest)
                refuse_difference(read_contents(server), backup.manifest.contents, backup.where)


PAYLOAD: Final = PostgreSQLDump()


def _write(manager: DatabaseManager, tool: Tool, payload: IO[bytes]) -> Manifest:
    """Write a dump of CardLink's tables, and count their rows.

    Both are of one snapshot; writers go on meanwhile, changes to the schema wait.
    """
    where = manager.config.safe_url
    with own_connection(manager) as server:
        server.execute("backup.begin_snapshot")
        server.execute("backup.may_idle")
        snapshot = server.value("backup.export_snapshot")
        contents = read_contents(server)
        refuse_unseen(contents, Dialect.POSTGRESQL, where)
        tables = server.rows("backup.tables", tables=list(TABLES))
        schemas = sorted({schema for schema, _ in tables})
        if len(schemas) != 1:
            what = f"the tables are spread over the schemas {', '.join(schemas)}"
            raise DatabaseError(what, where, "move them into one")
        arguments = [
            "--format=custom",
            "--no-password",
            f"--snapshot={snapshot}",
            *(f"--table={quoted(Dialect.POSTGRESQL, *table)}" for table in tables),
        ]
        payload.writelines(_connected(tool, server).output(arguments, LET_READ))
        version = str(server.value("backup.version"))
    return Manifest(
        kind=PayloadKind.PG_DUMP,
        dialect=Dialect.POSTGRESQL,
        product="PostgreSQL",
        server_version=version,
        contents=contents,
        schema=schemas[0],
        tool=tool.version,
    )


def _examine(dump: Path, backup: Container) -> None:
    tool = find_tool("pg_restore")
    if tool is None:
        return  # it takes one to read a dump
    remedy = missing("pg_restore").remedy
    try:
        rows = _count_rows(lines(tool.output([*_SCRIPT, str(dump)], ""), backup.where))
    except ToolError as failed:
        said = f"the dump cannot be read: {failed.said.strip()}"
        raise ValidationError(said, backup.where, remedy) from None
    # A script says nothing of the migrations but their table.
    expected = backup.manifest.contents
    refuse_difference(Contents(expected.migrations, rows), expected, backup.where)


def _load(
    manager: DatabaseManager, server: InternalStatements, dump: Path, manifest: Manifest
) -> None:
    reader, psql = (_needed(name, server) for name in ("pg_restore", "psql"))
    schema = server.value("backup.schema")
    if schema != manifest.schema:
        raise ValidationError(
            f"the backup's tables are of the schema {manifest.schema}, "
            f"and new tables of this role are made in {schema}",
            manager.config.safe_url,
            "set the role's search_path, or use a backup by --method jsonl",
        )
    known = {name for (name,) in server.rows("backup.settings")}
    unchanged = "nothing was changed"
    made = lines(reader.output([*_SCRIPT, str(dump)], unchanged), str(dump))
    script = without_unknown_settings(made, known)
    try:
        # The COMMIT comes last, and a process that is killed sends none: all is rolled back then.
        psql.feed(_PSQL, chain([b"BEGIN;\n"], script, [b"COMMIT;\n"]), unchanged)
    except ToolError as failed:
        if any(words in failed.said for words in _NO_RIGHT):
            failed.remedy = f"{unchanged}; restore as the owner of the database"
        raise


def _needed(name: str, server: InternalStatements) -> Tool:
    tool = find_tool(name)
    if tool is None:
        raise missing(name)
    return _connected(tool, server)


def _connected(tool: Tool, server: InternalStatements) -> Tool:
    """Return a program ready to reach the database of a connection.

    Each parameter of the connection goes by libpq's variable for it, the password among them. Of
    several hosts it reaches the one that the connection goes to.
    """
    given = [option for option in _parameters(server) if option.envvar]
    return replace(
        tool,
        environment={option.envvar.decode(): option.val.decode() for option in given},
        secrets=[option.val.decode() for option in given if option.dispchar == b"*"],
    )


def _parameters(server: InternalStatements) -> list[Any]:
    """Return the parameters of a connection that a tool needs, too."""
    return [
        option
        for option in server.connection.pgconn.info
        if option.val and option.keyword not in _OURS
    ]


def _count_rows(script: Iterable[bytes]) -> dict[str, int]:
    """Count the rows of each table in a script of ``pg_restore``."""
    rows: Counter[str] = Counter()
    for table, line in _copied(script):
        if table is not None:
            rows[table] += line != _COPY_END
    return dict(rows)


def without_unknown_settings(script: Iterable[bytes], known: set[str]) -> Iterator[bytes]:
    """Return a script of ``pg_restore`` without the settings that the server does not know."""
    for table, line in _copied(script):
        setting = None if table is not None else _SETTING.fullmatch(line)
        if setting is None or setting["name"].decode() in known:
            yield line


def _copied(script: Iterable[bytes]) -> Iterator[tuple[str | None, bytes]]:
    """Yield each line, the block's last included, with the table whose row it is."""
    table: str | None = None
    for line in script:
        yield table, line
        if table is None:
            copy = _COPY.fullmatch(line)
            table = copy["table"].decode() if copy else None
        elif line == _COPY_END:
            table = None
