"""MariaDB and MySQL by their own tools: ``mariadb-dump`` or ``mysqldump``, and the client.

A dump has the rows as ``INSERT INTO table (columns) VALUES (…),(…);``, a statement or a row a
line; a line break in a value is written as ``\\n``.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.config import TARGET
from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.internal import InternalStatements, text_to_paste
from cardlink_sql.database.mysql import is_true
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.contents import own_connection, read_contents
from cardlink_sql.transfer.backup.manifest import Contents, Manifest, PayloadKind
from cardlink_sql.transfer.backup.payload import Payload
from cardlink_sql.transfer.backup.refusals import LET_READ, refuse_difference, refuse_unseen
from cardlink_sql.transfer.backup.tools import Tool, UnusableToolError, find_tool, lines, missing

MARIADB: Final = "MariaDB"
MYSQL: Final = "MySQL"

_LOCK_TIMEOUT: Final = LOCK_TIMEOUT_MS / 1000
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
_INSERT: Final = re.compile(rb"INSERT INTO `(?P<table>\w+)` \(.*?\) VALUES")
_STRING: Final = re.compile(rb"'(?:[^'\\]|\\.)*'")
_TRAILER: Final = b"-- Dump completed"
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


class MySQLDump(Payload):
    """A dump of ``mariadb-dump`` or ``mysqldump``."""

    kind = PayloadKind.MYSQLDUMP

    def writer(self, manager: DatabaseManager, folder: Path) -> Callable[[IO[bytes]], Manifest]:
        options = _parameters(manager)
        ssl = options.get("ssl") or {}
        untold = [
            *(name for name in options if name not in _CONNECTION and name not in _DISPENSABLE),
            *(f"ssl_{name}" for name in ssl if name not in _SSL and name != "check_hostname"),
        ]
        if untold:
            raise UnusableToolError(f"mysqldump cannot be given {untold[0]}", manager)
        with own_connection(manager) as server:
            product = _product(server)
        tool = _find_of_product(product, _DUMPERS)
        if tool is None:
            what = f"there is no {' or '.join(_DUMPERS)} of {product}'s on the PATH"
            raise UnusableToolError(what, manager)
        return partial(_write, manager, tool)

    def examine(self, backup: Container) -> None:
        """Compare the rows of a dump with the manifest."""
        found, expected = (
            _count_rows(lines(backup.chunks(), backup.where)),
            backup.manifest.contents,
        )
        if found is None:
            raise ValidationError("the dump has no end", backup.where, "use another backup")
        tables = {**dict.fromkeys(expected.tables, 0), **found}
        refuse_difference(Contents(expected.migrations, tables), expected, backup.where)

    def load(self, manager: DatabaseManager, backup: Container) -> None:
        """Load a dump statement by statement.

        The bookkeeping of the migrations is the last table of a dump, so a database that is loaded
        in part has no migration applied, and nothing mistakes it for a whole one.
        """
        database = manager.config.engine_url.database or ""
        commit_each = f"{text_to_paste(Dialect.MYSQL, 'backup.commit_each')};\n".encode()
        again = "DDL commits by itself here: drop the database, make it again, and restore again"
        with own_connection(manager) as server:
            client = _client_for(manager, server, backup.manifest)
            self.examine(backup)
            with (
                migration_backend(Dialect.MYSQL, server.connection).locked(_LOCK_TIMEOUT),
                _connecting(client, manager, server) as (connecting, options),
            ):
                arguments = [options, "--batch", "--default-character-set=utf8mb4", database]
                connecting.feed(arguments, chain([commit_each], backup.chunks()), again)
                refuse_difference(read_contents(server), backup.manifest.contents, backup.where)


PAYLOAD: Final = MySQLDump()


def _write(manager: DatabaseManager, tool: Tool, payload: IO[bytes]) -> Manifest:
    """Write a dump of CardLink's tables, and count its rows as they pass by.

    It is of one snapshot; writers go on meanwhile, migrations wait.
    """
    where = manager.config.safe_url

    def kept(pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            payload.write(piece)
            yield piece

    with own_connection(manager) as server:
        backend = migration_backend(Dialect.MYSQL, server.connection)
        # A change to a table ends the snapshot's view of it.
        with backend.locked(_LOCK_TIMEOUT):
            contents = read_contents(server)
            refuse_unseen(contents, Dialect.MYSQL, where)
            version = str(server.value("backup.version"))
            names = [manager.config.engine_url.database or "", *contents.tables]
            with _connecting(tool, manager, server) as (connecting, options):
                pieces = connecting.output([options, *_OPTIONS, *names], LET_READ)
                counted = _count_rows(lines(kept(pieces), where))
    if counted is None:
        raise DatabaseError(f"{tool.name} wrote no end", remedy="look at the server's log")
    dumped = replace(contents, tables={name: counted.get(name, 0) for name in contents.tables})
    return Manifest(
        kind=PayloadKind.MYSQLDUMP,
        dialect=Dialect.MYSQL,
        product=product_of(version),
        server_version=version,
        contents=dumped,
        tool=tool.version,
    )


def _client_for(manager: DatabaseManager, server: InternalStatements, manifest: Manifest) -> Tool:
    """Return the client that loads a dump: the one of the dump's product and the server's."""
    product = _product(server)
    if manifest.product != product:
        raise ValidationError(
            f"this is a backup of {manifest.product}, and the server is {product}",
            manager.config.safe_url,
            "make one that every backend takes: cardlink-db backup --method jsonl",
        )
    client = _find_of_product(product, _CLIENTS)
    if client is None:
        raise missing(*_CLIENTS, product=product)
    return client


def product_of(version: str) -> str:
    """Return the product of a server or a tool, from the version that it reports."""
    return MARIADB if MARIADB.lower() in version.lower() else MYSQL


def _product(server: InternalStatements) -> str:
    return product_of(str(server.value("backup.version")))


def _find_of_product(product: str, names: Iterable[str]) -> Tool | None:
    """Return the first of some programs that is of the server's own product.

    MySQL's tools ask MariaDB for what it has not, and the other way round.
    """
    for tool in filter(None, map(find_tool, names)):
        if product_of(tool.version) == product:
            return tool
    return None


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
        secrets = [str(parameters.get("password") or "")]
        connecting = replace(tool, secrets=secrets, descriptors=(descriptor,))
        yield connecting, f"--defaults-file=/dev/fd/{descriptor}"


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


def _count_rows(script: Iterable[bytes]) -> dict[str, int] | None:
    """Count the rows of each table in a script of ``mysqldump``; None where its end is missing."""
    rows: Counter[str] = Counter()
    table: str | None = None
    is_whole = False
    for line in script:
        values = line
        if table is None:
            is_whole = is_whole or line.startswith(_TRAILER)
            insert = _INSERT.match(line)
            if insert is None:
                continue
            table = insert["table"].decode()
            values = line[insert.end() :]
        # Each row is in brackets, and out of strings there are no others.
        rows[table] += _STRING.sub(b"", values).count(b"(")
        if line.endswith(b";\n"):
            table = None
    return dict(rows) if is_whole else None
