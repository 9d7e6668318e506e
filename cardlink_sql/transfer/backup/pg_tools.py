"""PostgreSQL's own tools, and how they learn where the database is."""

from typing import Any, Final

from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.tools import Tool, find_tool

# How a connection that went dead is noticed; libpq has no variables for these.
_DISPENSABLE: Final = ("keepalives", "tcp_user_timeout")


def pg_tool(manager: DatabaseManager, name: str) -> Tool | None:
    """Return one of PostgreSQL's programs, ready to reach a database.

    Each parameter of the connection goes by libpq's variable for it, the password among them.

    Args:
        manager: of the database.
        name: ``pg_dump``, ``pg_restore`` or ``psql``.
    """
    variables = _variables()
    parameters = _parameters(manager)
    environment = {
        variables[keyword]: value for keyword, value in parameters.items() if variables[keyword]
    }
    secrets = [parameters[word] for word in ("password", "sslpassword") if word in parameters]
    return find_tool(name, environment=environment, secrets=secrets)


def untold_parameters(manager: DatabaseManager) -> list[str]:
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
