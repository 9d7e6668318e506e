"""PostgreSQL by ``pg_restore`` and ``psql``: everything in one transaction.

The tables that are there move to a schema of their own, the dump's come in their place, and
their rows are counted, before the commit. Whatever happens until then, a kill too, rolls all
of it back: the end of the script is the COMMIT, and who is killed sends none.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup import statements as sql
from cardlink_sql.transfer.backup.connections import own_connection, rows
from cardlink_sql.transfer.backup.manifest import Contents, Manifest
from cardlink_sql.transfer.backup.pg_swap import PgSwap, in_use, refuse_weak_role, schema_of
from cardlink_sql.transfer.backup.pg_tools import pg_tool
from cardlink_sql.transfer.backup.restored import Replaced
from cardlink_sql.transfer.backup.scripts import count_copied_rows, lines, without_unknown_settings
from cardlink_sql.transfer.backup.tools import Tool, ToolFailed, find_tool

_SCRIPT: Final = ("--no-owner", "--no-privileges", "--file=-")
_INSTALL: Final = (
    "install PostgreSQL's client programs; a backup by --method jsonl does without them"
)
_NO_RIGHT: Final = "permission denied", "must be owner", "must be able to SET ROLE"
_LOCKED: Final = "lock timeout"


def examine(dump: Path, manifest: Manifest, where: str) -> Contents | None:
    """Read a dump from end to end without a database; gives what it holds.

    Args:
        dump: the unpacked payload.
        manifest: of the backup.
        where: what to name in an error.

    Returns:
        None where there is no ``pg_restore`` to read it.

    Raises:
        ValidationError: it cannot be read.
    """
    tool = find_tool("pg_restore")
    if tool is None:
        return None
    try:
        found = count_copied_rows(lines(tool.output([*_SCRIPT, str(dump)])))
    except ToolFailed as failed:
        raise ValidationError(
            f"the dump cannot be read: {failed.said.strip()}", where, _INSTALL
        ) from None
    # A script says nothing of the migrations but their table.
    return Contents(manifest.contents.migrations, found)


def restore(manager: DatabaseManager, dump: Path, manifest: Manifest) -> Replaced | None:
    """Put the tables of a dump in the place of the database's.

    Args:
        manager: of the database.
        dump: the unpacked payload, looked through.
        manifest: of the backup.

    Raises:
        ValidationError: its tables are of another schema.
        ConflictError: the tables are in use.
        DatabaseError: a tool is missing, or the server refused something.
    """
    reader, psql = _needed(manager, "pg_restore"), _needed(manager, "psql")
    with own_connection(manager) as connection:
        schema = schema_of(connection)
        if schema != manifest.schema:
            raise ValidationError(
                f"the backup's tables are of the schema {manifest.schema}, "
                f"and those of this role are of {schema}",
                manager.config.safe_url,
                "set the role's search_path, or use a backup by --method jsonl",
            )
        known = {name for (name,) in rows(connection, sql.POSTGRESQL_SETTINGS)}
        swap = PgSwap(connection, schema, manifest.contents.tables)
        refuse_weak_role(connection, schema, manager.config.safe_url)
    script = without_unknown_settings(lines(reader.output([*_SCRIPT, str(dump)])), known)
    try:
        _run(psql, [*swap.before], script, [*_counts(schema, manifest), *swap.after])
    except ToolFailed as failed:
        raise _fault(failed, manager) from None
    with own_connection(manager) as connection:
        return swap.replaced(connection)


def _needed(manager: DatabaseManager, name: str) -> Tool:
    tool = pg_tool(manager, name)
    if tool is None:
        raise DatabaseError(f"there is no {name} on the PATH", remedy=_INSTALL)
    return tool


def _counts(schema: str, manifest: Manifest) -> Iterator[str]:
    for table, count in manifest.contents.tables.items():
        yield sql.refuse_other_count(schema, table, count)


def _run(psql: Tool, before: list[str], script: Iterable[bytes], after: list[str]) -> None:
    arguments = ["--no-psqlrc", "--no-password", "--quiet", "--file=-"]
    arguments += ["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"]
    with psql.running(arguments, stdin=True) as process:
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.writelines(_statement(text) for text in ["BEGIN", *before])
        process.stdin.writelines(script)
        process.stdin.writelines(_statement(text) for text in [*after, "COMMIT"])


def _statement(text: str) -> bytes:
    return f"{text};\n".encode()


def _fault(failed: ToolFailed, manager: DatabaseManager) -> DatabaseError:
    where = manager.config.safe_url
    if _LOCKED in failed.said:
        return in_use(where)
    if any(words in failed.said for words in _NO_RIGHT):
        return failed.error(
            "nothing was changed; restore as the owner of the tables and of what hangs on them"
        )
    return failed.error("nothing was changed")
