"""The tools of MariaDB and MySQL, and how they learn where the database is."""

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
    """Return the product of a server or a tool, from the version that it reports."""
    return MARIADB if MARIADB.lower() in version.lower() else MYSQL


def find_of_product(product: str, *names: str) -> Tool | None:
    """Return the first of some programs that is of the server's own product.

    MySQL's tools ask MariaDB for what it has not, and the other way round.
    """
    for name in names:
        tool = find_tool(name)
        if tool is not None and product_of(tool.version) == product:
            return tool
    return None


def untold_parameters(manager: DatabaseManager) -> list[str]:
    """Return the parameters of the connection that the tools have no option for."""
    options = _parameters(manager)
    ssl = options.get("ssl") or {}
    return [
        *(name for name in options if name not in _OPTIONS and name not in _DISPENSABLE),
        *(f"ssl_{name}" for name in ssl if name not in _SSL and name != "check_hostname"),
    ]


@contextmanager
def option_file(manager: DatabaseManager) -> Iterator[str]:
    """Write a file with all that a tool needs to connect; yields the argument that names it.

    Only this user can read the file, and it is gone after the block. No other option file is
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
    """Return what no error may show."""
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
    """Return what the engine connects with."""
    _, options = manager.engine.dialect.create_connect_args(manager.config.engine_url)
    return dict(options)
