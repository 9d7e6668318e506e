"""PostgreSQL by ``pg_restore`` and ``psql``: everything in one transaction.

The end of the script is the COMMIT, and a process that is killed sends none: the server then
rolls everything back.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.manifest import Contents, Manifest
from cardlink_sql.transfer.backup.pg_tools import pg_tool
from cardlink_sql.transfer.backup.scripts import count_copied_rows, lines, without_unknown_settings
from cardlink_sql.transfer.backup.tools import Tool, ToolFailed, find_tool

_SCRIPT: Final = ("--no-owner", "--no-privileges", "--file=-")
_INSTALL: Final = (
    "install PostgreSQL's client programs; a backup by --method jsonl does without them"
)
_NO_RIGHT: Final = "permission denied", "must be owner", "must be able to SET ROLE"


def examine(dump: Path, manifest: Manifest, where: str) -> Contents | None:
    """Read a dump from end to end without a database; and return what it holds.

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


def load(
    manager: DatabaseManager, server: InternalStatements, dump: Path, manifest: Manifest
) -> None:
    """Load a dump into an empty database.

    Args:
        manager: of that database.
        server: a connection to it.
        dump: the unpacked payload, examined.
        manifest: of the backup.

    Raises:
        ValidationError: its tables are of another schema.
        DatabaseError: a tool is missing, or the server refused something.
    """
    reader, psql = _needed(manager, "pg_restore"), _needed(manager, "psql")
    schema = server.value("backup.schema")
    if schema != manifest.schema:
        raise ValidationError(
            f"the backup's tables are of the schema {manifest.schema}, "
            f"and new tables of this role are made in {schema}",
            manager.config.safe_url,
            "set the role's search_path, or use a backup by --method jsonl",
        )
    known = {name for (name,) in server.rows("backup.settings")}
    script = without_unknown_settings(lines(reader.output([*_SCRIPT, str(dump)])), known)
    try:
        _run(psql, script)
    except ToolFailed as failed:
        raise _fault(failed) from None


def _needed(manager: DatabaseManager, name: str) -> Tool:
    tool = pg_tool(manager, name)
    if tool is None:
        raise DatabaseError(f"there is no {name} on the PATH", remedy=_INSTALL)
    return tool


def _run(psql: Tool, script: Iterable[bytes]) -> None:
    arguments = ["--no-psqlrc", "--no-password", "--quiet", "--file=-"]
    arguments += ["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"]
    with psql.running(arguments, stdin=True) as process:
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.write(b"BEGIN;\n")
        process.stdin.writelines(script)
        process.stdin.write(b"COMMIT;\n")


def _fault(failed: ToolFailed) -> DatabaseError:
    if any(words in failed.said for words in _NO_RIGHT):
        return failed.error("nothing was changed; restore as the owner of the database")
    return failed.error("nothing was changed")
