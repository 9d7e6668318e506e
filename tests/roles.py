"""Roles of the test servers, with the rights that ``cardlink-db sql grants`` prints."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from sqlalchemy.engine import make_url

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.grants import Role, grants

# By the name of a database, the manager that made it, where tests have a role with fewer rights.
OWNERS: Final[dict[str | None, DatabaseManager]] = {}


def owner_of(manager: DatabaseManager) -> DatabaseManager:
    """The manager that may do anything with this manager's database."""
    return OWNERS.get(manager.config.engine_url.database, manager)


@contextmanager
def database_user(owner: DatabaseManager) -> Iterator[tuple[str, DatabaseManager]]:
    """A new role without rights on a server: how GRANT names it, and a manager that is it."""
    name, password = f"cardlink_test_{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    on_mysql = owner.dialect is Dialect.MYSQL
    user = f"'{name}'@'%'" if on_mysql else name
    kind, secret = ("USER", "IDENTIFIED BY") if on_mysql else ("ROLE", "LOGIN PASSWORD")
    url = make_url(owner.config.url).set(username=name, password=password)
    config = DatabaseConfig(url.render_as_string(hide_password=False))
    execute(owner, f"CREATE {kind} {user} {secret} '{password}'")
    try:
        with DatabaseManager(config, keyring=Keyring([Keyring.generate()])) as manager:
            yield user, manager
    finally:
        execute(owner, *([] if on_mysql else [f"DROP OWNED BY {user}"]), f"DROP {kind} {user}")


@contextmanager
def manager_as(owner: DatabaseManager, role: Role) -> Iterator[DatabaseManager]:
    """A manager with the rights that ``cardlink-db sql grants`` prints for a role."""
    with database_user(owner) as (user, manager):
        database = owner.config.engine_url.database or ""
        given = grants(role, owner.dialect, user.replace("'", ""), database)
        execute(owner, *(grant.statement for grant in given))
        yield manager


def execute(manager: DatabaseManager, *statements: str) -> None:
    """Run statements, each committed."""
    with closing(manager.take_connection()) as connection:
        for statement in statements:
            connection.cursor().execute(statement)


def ask(manager: DatabaseManager, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a statement, in a transaction of its own."""
    with closing(manager.take_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(statement, values)
        return [tuple(row) for row in cursor.fetchall()]
