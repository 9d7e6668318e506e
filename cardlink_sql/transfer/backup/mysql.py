"""MariaDB and MySQL by their own tools: ``mariadb-dump`` or ``mysqldump``, and the client."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from cardlink_sql.config import TARGET
from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.internal import InternalStatements, text_to_paste
from cardlink_sql.database.mysql import is_true
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.transfer.backup.connections import own_connection
from cardlink_sql.transfer.backup.container import Payload
from cardlink_sql.transfer.backup.contents import (
    LET_READ,
    read_contents,
    refuse_difference,
    refuse_nothing,
    refuse_unseen,
)
from cardlink_sql.transfer.backup.manifest import Contents, Manifest, Origin
from cardlink_sql.transfer.backup.scripts import count_inserted_rows, lines
from cardlink_sql.transfer.backup.tools import Tool, ToolFailed, find_tool, missing

MARIADB: Final = "MariaDB"
MYSQL: Final = "MySQL"

# PyMySQL's options, and the tools' names for them.
_CONNECTION: Final = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "unix_socket": "socket",
    "connect_timeout": "connect-timeout",
}
_SSL: Final = {"ca": "ssl-ca", "capath": "ssl-capath", "cert": "ssl-cert", "key": "ssl-key"}
# Options that the tools settle themselves, or can do without.
_DISPENSABLE: Final = frozenset(
    {"database", "db", "charset", "client_flag", "read_timeout", "write_timeout", "use_unicode",
     "program_name", "local_infile", "max_allowed_packet", "ssl_verify_cert",
     "ssl_verify_identity", "ssl_disabled", "ssl", TARGET, "load_balance_hosts"}
)  # fmt: skip
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
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
    """Return why the dump tool cannot be used; None where it can."""
    if untold := _untold_parameters(manager):
        return f"mysqldump cannot be given {untold[0]}"
    product = _product(manager)
    if _find_of_product(product, *_DUMPERS) is None:
        return f"there is no {' or '.join(_DUMPERS)} of {product}'s on the PATH"
    return None


def write_payload(manager: DatabaseManager, payload: Payload) -> Origin:
    """Write a dump of CardLink's tables, and count its rows as they pass by.

    It is of one snapshot; writers go on meanwhile, migrations wait.
    """
    with own_connection(manager) as server:
        database = manager.config.engine_url.database or ""
        backend = migration_backend(Dialect.MYSQL, server.connection)
        # A change to a table ends the snapshot's view of it.
        with backend.locked(LOCK_TIMEOUT_MS / 1000):
            contents = read_contents(server)
            refuse_nothing(contents, manager.config.safe_url)
            refuse_unseen(contents, Dialect.MYSQL, manager.config.safe_url)
            version = str(server.value("backup.version"))
            tool = _find_of_product(product_of(version), *_DUMPERS)
            assert tool is not None  # noqa: S101 - obstacle() has looked
            counted = _dump(manager, server, tool, [database, *contents.tables], payload)
    tables = {name: counted.get(name, 0) for name in contents.tables}
    return Origin(
        product=product_of(version),
        server_version=version,
        contents=replace(contents, tables=tables),
        tool=tool.version,
    )


def examine(dump: Iterable[bytes], manifest: Manifest, where: str) -> None:
    """Read a dump from end to end and compare it with the manifest, without a database."""
    found = count_inserted_rows(lines(dump, where))
    if found is None:
        raise ValidationError("the dump has no end", where, "use another backup")
    tables = {**dict.fromkeys(manifest.contents.tables, 0), **found}
    refuse_difference(Contents(manifest.contents.migrations, tables), manifest.contents, where)


def client_for(manager: DatabaseManager, manifest: Manifest) -> Tool:
    """Return the client that loads a dump: the one of the dump's product and the server's."""
    product = _product(manager)
    if manifest.product != product:
        raise ValidationError(
            f"this is a backup of {manifest.product}, and the server is {product}",
            manager.config.safe_url,
            "make one that every backend takes: cardlink-db backup --method jsonl",
        )
    client = _find_of_product(product, *_CLIENTS)
    if client is None:
        raise missing(*_CLIENTS, product=product)
    return replace(client, secrets=_secrets_of(manager))


def load(
    manager: DatabaseManager, server: InternalStatements, client: Tool, dump: Iterable[bytes]
) -> None:
    """Load a dump into an empty database.

    The bookkeeping of the migrations is the last table of a dump, so a database that is loaded
    in part has no migration applied, and nothing mistakes it for a whole one.
    """
    database = manager.config.engine_url.database or ""
    commit_each = f"{text_to_paste(Dialect.MYSQL, 'backup.commit_each')};\n".encode()
    with _connecting(client, manager, server) as (connecting, options):
        arguments = [options, "--batch", "--default-character-set=utf8mb4", database]
        try:
            connecting.feed(arguments, chain([commit_each], dump))
        except ToolFailed as failed:
            raise failed.error(
                "DDL commits by itself here: drop the database, make it again, and restore again"
            ) from None


def _product(manager: DatabaseManager) -> str:
    with own_connection(manager) as server:
        return product_of(str(server.value("backup.version")))


def _dump(
    manager: DatabaseManager,
    server: InternalStatements,
    tool: Tool,
    names: list[str],
    payload: Payload,
) -> dict[str, int]:
    tool = replace(tool, secrets=_secrets_of(manager))

    def kept(pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            payload.write(piece)
            yield piece

    with _connecting(tool, manager, server) as (connecting, options):
        try:
            pieces = connecting.output([options, *_OPTIONS, *names])
            counted = count_inserted_rows(lines(kept(pieces), manager.config.safe_url))
        except ToolFailed as failed:
            raise failed.error(LET_READ) from None
    if counted is None:
        raise DatabaseError(f"{tool.name} wrote no end", remedy="look at the server's log")
    return counted


def product_of(version: str) -> str:
    """Return the product of a server or a tool, from the version that it reports."""
    return MARIADB if MARIADB.lower() in version.lower() else MYSQL


def _find_of_product(product: str, *names: str) -> Tool | None:
    """Return the first of some programs that is of the server's own product.

    MySQL's tools ask MariaDB for what it has not, and the other way round.
    """
    for name in names:
        tool = find_tool(name)
        if tool is not None and product_of(tool.version) == product:
            return tool
    return None


def _untold_parameters(manager: DatabaseManager) -> list[str]:
    """Return the parameters of the connection that the tools have no option for."""
    options = _parameters(manager)
    ssl = options.get("ssl") or {}
    return [
        *(name for name in options if name not in _CONNECTION and name not in _DISPENSABLE),
        *(f"ssl_{name}" for name in ssl if name not in _SSL and name != "check_hostname"),
    ]


@contextmanager
def _connecting(
    tool: Tool, manager: DatabaseManager, server: InternalStatements
) -> Iterator[tuple[Tool, str]]:
    """Yield the tool and the argument that names a file with all that it needs to connect.

    Of several hosts it connects to the one that the connection goes to.

    The file has no name, so that a kill leaves no password; the tool inherits it. It reads
    no other option file, for the URL says where the database is.
    """
    parameters = _parameters(manager)
    if manager.config.has_several_hosts:
        host, port = manager.pool.backend.host_of(server.connection)
        parameters |= {"host": host, "port": port}
    with tempfile.TemporaryFile("w", encoding="utf-8") as file:
        file.write("[client]\n")
        file.writelines(
            f'{name} = "{str(value).translate(_ESCAPES)}"\n'
            for name, value in _lines(parameters).items()
        )
        file.seek(0)
        descriptor = file.fileno()
        yield replace(tool, descriptors=(descriptor,)), f"--defaults-file=/dev/fd/{descriptor}"


def _secrets_of(manager: DatabaseManager) -> tuple[str, ...]:
    """Return what no error may show."""
    return tuple(filter(None, [str(_parameters(manager).get("password") or "")]))


def _lines(options: Mapping[str, Any]) -> dict[str, Any]:
    lines = {
        _CONNECTION[name]: options[name] for name in _CONNECTION if options.get(name) is not None
    }
    if "socket" not in lines:
        lines["protocol"] = "TCP"  # localhost would be the socket, and for PyMySQL it is not
    ssl = options.get("ssl") or {}
    lines |= {_SSL[name]: value for name, value in ssl.items() if name in _SSL}
    checks_name = is_true(options.get("ssl_verify_identity", ssl.get("check_hostname")))
    checks = checks_name or is_true(options.get("ssl_verify_cert"))
    # Each product knows one of the two; "loose" lets the other pass over it.
    verification = {"loose-ssl-verify-server-cert": "1" if checks else "0"}
    if is_true(options.get("ssl_disabled")):
        return {**lines, "loose-ssl": "0", "loose-ssl-mode": "DISABLED"}
    if not (ssl or checks):
        # Like the driver: TLS where the server has it. MariaDB's tools from 11.4 on insist.
        return lines | verification
    mode = "VERIFY_IDENTITY" if checks_name else "VERIFY_CA" if checks else "REQUIRED"
    return {**lines, "loose-ssl": "1", "loose-ssl-mode": mode, **verification}


def _parameters(manager: DatabaseManager) -> dict[str, Any]:
    """Return what the engine connects with."""
    _, options = manager.engine.dialect.create_connect_args(manager.config.engine_url)
    return dict(options)
