"""MariaDB by ``mariadb-dump`` and MySQL by ``mysqldump``: CardLink's tables of one snapshot."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.migrator import locks
from cardlink_sql.schema.migrator.backends import BACKENDS
from cardlink_sql.transfer.backup.connections import own_connection
from cardlink_sql.transfer.backup.container import Payload
from cardlink_sql.transfer.backup.contents import (
    LET_READ,
    read_contents,
    refuse_nothing,
    refuse_unseen,
)
from cardlink_sql.transfer.backup.manifest import Contents, Manifest, Origin
from cardlink_sql.transfer.backup.mysql_tools import (
    find_of_product,
    option_file,
    product_of,
    secrets_of,
    untold_parameters,
)
from cardlink_sql.transfer.backup.scripts import count_inserted_rows, lines
from cardlink_sql.transfer.backup.tools import Tool, ToolFailed

_DUMPERS: Final = ("mariadb-dump", "mysqldump")
_CLIENTS: Final = ("mariadb", "mysql")
_OPTIONS: Final = (
    "--single-transaction",
    "--quick",
    "--skip-lock-tables",
    "--complete-insert",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    # It goes into an empty database, by a role that needs no further right.
    "--skip-add-drop-table",
    "--skip-add-locks",
    "--skip-disable-keys",
    "--skip-triggers",
    "--no-tablespaces",
    # Only MySQL's: what a dump of some tables must not carry over.
    "--loose-set-gtid-purged=OFF",
    "--loose-column-statistics=0",
)


def obstacle(manager: DatabaseManager) -> str | None:
    """Return why the dump tool cannot be used; None where it can.

    Raises:
        ConnectionError: the database does not answer.
    """
    if untold := untold_parameters(manager):
        return f"mysqldump cannot be given {untold[0]}"
    product = _product(manager)
    if find_of_product(product, *_DUMPERS) is None:
        return f"there is no {' or '.join(_DUMPERS)} of {product}'s on the PATH"
    return None


def write_payload(manager: DatabaseManager, payload: Payload) -> Origin:
    """Write a dump of CardLink's tables, and count its rows as they pass by.

    It is of one snapshot; writers go on meanwhile, migrations wait.

    Args:
        manager: of the database.
        payload: where to.

    Raises:
        MigrationError: no migration is applied to the database, or one is under way.
        DatabaseError: the tool failed, or the role does not see a table.
    """
    with own_connection(manager) as server:
        database = manager.config.engine_url.database or ""
        backend = BACKENDS[Dialect.MYSQL](server.connection, database)
        # A change to a table ends the snapshot's view of it.
        with locks.held(locks.server_lock(backend), LOCK_TIMEOUT_MS / 1000):
            contents = read_contents(server)
            refuse_nothing(contents, manager.config.safe_url)
            refuse_unseen(contents, Dialect.MYSQL, manager.config.safe_url)
            version = str(server.value("backup.version"))
            tool = find_of_product(product_of(version), *_DUMPERS)
            assert tool is not None  # noqa: S101 - obstacle() has looked
            counted = _dump(manager, tool, [database, *contents.tables], payload)
    tables = {name: counted.get(name, 0) for name in contents.tables}
    return Origin(
        product_of(version), version, replace(contents, tables=tables), None, tool.version
    )


def examine(dump: Iterable[bytes], manifest: Manifest, where: str) -> Contents:
    """Read a dump from end to end without a database and return what it holds.

    Args:
        dump: the payload, in pieces.
        manifest: of the backup.
        where: what to name in an error.

    Raises:
        ValidationError: its end is missing.
    """
    found = count_inserted_rows(lines(dump))
    if found is None:
        raise ValidationError("the dump has no end", where, "use another backup")
    tables = {**dict.fromkeys(manifest.contents.tables, 0), **found}
    return Contents(manifest.contents.migrations, tables)


def client_for(manager: DatabaseManager, manifest: Manifest) -> Tool:
    """Return the client that loads a dump: the one of the dump's product and the server's.

    Args:
        manager: of the database to restore.
        manifest: of the backup.

    Raises:
        ValidationError: the dump is of the other product.
        DatabaseError: there is no such client.
    """
    product = _product(manager)
    if manifest.product != product:
        raise ValidationError(
            f"this is a backup of {manifest.product}, and the server is {product}",
            manager.config.safe_url,
            "make one that every backend takes: cardlink-db backup --method jsonl",
        )
    client = find_of_product(product, *_CLIENTS)
    if client is None:
        raise DatabaseError(
            f"there is no {' or '.join(_CLIENTS)} of {product}'s on the PATH",
            remedy="install the server's client programs; "
            "a backup by --method jsonl does without them",
        )
    return replace(client, secrets=secrets_of(manager))


def load(manager: DatabaseManager, client: Tool, dump: Iterable[bytes]) -> None:
    """Load a dump into an empty database.

    The bookkeeping of the migrations is the last table of a dump, so a database that is loaded
    in part has no migration applied, and nothing mistakes it for a whole one.

    Args:
        manager: of that database.
        client: of :func:`client_for`.
        dump: the payload, in pieces.

    Raises:
        DatabaseError: the server refused something.
    """
    database = manager.config.engine_url.database or ""
    with option_file(manager) as options:
        arguments = [options, "--batch", "--default-character-set=utf8mb4", database]
        try:
            with client.running(arguments, stdin=True) as process:
                assert process.stdin is not None  # noqa: S101 - it was asked for
                process.stdin.writelines(dump)
        except ToolFailed as failed:
            raise failed.error(
                "DDL commits by itself here: drop the database, make it again, and restore again"
            ) from None


def _product(manager: DatabaseManager) -> str:
    with own_connection(manager) as server:
        return product_of(str(server.value("backup.version")))


def _dump(
    manager: DatabaseManager, tool: Tool, names: list[str], payload: Payload
) -> dict[str, int]:
    tool = replace(tool, secrets=secrets_of(manager))

    def kept(pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            payload.write(piece)
            yield piece

    with option_file(manager) as options:
        try:
            pieces = tool.output([options, *_OPTIONS, *names])
            counted = count_inserted_rows(lines(kept(pieces)))
        except ToolFailed as failed:
            raise failed.error(LET_READ) from None
    if counted is None:
        raise DatabaseError(f"{tool.name} wrote no end", remedy="look at the server's log")
    return counted
