"""The tools of MariaDB and MySQL, and how they are told where the database is."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.tools import Tool, find_tool

MARIADB: Final = "MariaDB"
MYSQL: Final = "MySQL"

# What PyMySQL takes, and the tools' name for it.
_OPTIONS: Final = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "unix_socket": "socket",
    "connect_timeout": "connect-timeout",
}
_SSL: Final = {"ca": "ssl-ca", "capath": "ssl-capath", "cert": "ssl-cert", "key": "ssl-key"}
# What the tools settle themselves, or can do without.
_DISPENSABLE: Final = frozenset(
    {"database", "db", "charset", "client_flag", "read_timeout", "write_timeout", "use_unicode",
     "program_name", "local_infile", "max_allowed_packet", "ssl_verify_cert",
     "ssl_verify_identity", "ssl"}
)  # fmt: skip
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def product_of(version: str) -> str:
    """Which of the two a server or a tool is, from what it says of itself."""
    return MARIADB if MARIADB.lower() in version.lower() else MYSQL


def find_of_product(product: str, *names: str) -> Tool | None:
    """The first of some programs that is of the server's own product.

    MySQL's tools ask MariaDB for what it has not, and the other way round.
    """
    for name in names:
        tool = find_tool(name)
        if tool is not None and product_of(tool.version) == product:
            return tool
    return None


def untold_parameters(manager: DatabaseManager) -> list[str]:
    """The parameters of the connection that the tools cannot be told."""
    options = _parameters(manager)
    ssl = options.get("ssl") or {}
    return [
        *(name for name in options if name not in _OPTIONS and name not in _DISPENSABLE),
        *(f"ssl_{name}" for name in ssl if name not in _SSL and name != "check_hostname"),
    ]


@contextmanager
def option_file(manager: DatabaseManager) -> Iterator[str]:
    """The argument that names a file with all that a tool needs to connect.

    The file is this user's alone to read, and gone behind the block. No other option file is
    read, for the URL says where the database is.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="cardlink-") as file:
        file.write("[client]\n")
        file.writelines(
            f'{name} = "{str(value).translate(_ESCAPES)}"\n'
            for name, value in _lines(_parameters(manager)).items()
        )
        file.flush()
        yield f"--defaults-file={file.name}"


def secrets_of(manager: DatabaseManager) -> tuple[str, ...]:
    """What no error may show."""
    return tuple(filter(None, [str(_parameters(manager).get("password") or "")]))


def _lines(options: Mapping[str, Any]) -> dict[str, Any]:
    lines = {_OPTIONS[name]: options[name] for name in _OPTIONS if options.get(name) is not None}
    if "socket" not in lines:
        lines["protocol"] = "TCP"  # localhost would be the socket, and for PyMySQL it is not
    ssl = options.get("ssl")
    if ssl is None:
        return lines
    lines |= {_SSL[name]: value for name, value in ssl.items() if name in _SSL}
    checks_name = _is_true(options.get("ssl_verify_identity")) or ssl.get("check_hostname")
    checks = checks_name or _is_true(options.get("ssl_verify_cert"))
    # Each product knows one of the two; "loose" lets the other pass over it.
    mode = "VERIFY_IDENTITY" if checks_name else "VERIFY_CA" if checks else "REQUIRED"
    return {
        **lines,
        "loose-ssl": "1",
        "loose-ssl-mode": mode,
        "loose-ssl-verify-server-cert": "1" if checks else "0",
    }


def _is_true(value: object) -> bool:
    return str(value).lower() in ("1", "true", "yes")


def _parameters(manager: DatabaseManager) -> dict[str, Any]:
    """What the engine connects with."""
    _, options = manager.engine.dialect.create_connect_args(manager.config.engine_url)
    return dict(options)
