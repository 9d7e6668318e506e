"""The minimal rights that the queries need, as GRANT statements.

Foreign keys act with the owner's rights, so what they delete or set needs none.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.model.tables import metadata
from cardlink_sql.review.statements.access import NOTHING, Access, union
from cardlink_sql.review.statements.footprint import footprints
from cardlink_sql.schema.migrator.bookkeeping import BOOKKEEPING_TABLES
from cardlink_sql.schema.migrator.rights import ROW_RIGHTS, escaped_pattern, mysql_rights


class Role(StrEnum):
    """The purpose of a database role: a component, a reader, or the migrations."""

    APP = "app"
    READER = "reader"
    DBA = "dba"


@dataclass(frozen=True)
class Grant:
    """A statement and the queries that need each of its rights.

    Attributes:
        on: the table, or other object of the grant.
        needs: the titles of the queries by right; empty if ``why`` is set.
        why: the reason, if it is not a query.
        statement: the statement for the DBA to run.
    """

    on: str
    needs: dict[str, list[str]]
    why: str | None
    statement: str


_SEQUENCE: Final = "_seq"
_RIGHTS: Final = dict(zip(("reads", "inserts", "updates", "deletes"), ROW_RIGHTS, strict=True))
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*\Z")


def grants(role: Role, dialect: Dialect, user: str, database: str) -> list[Grant]:
    """Return the grants for a role; none on SQLite, which has no roles.

    Args:
        role: the purpose of the role.
        dialect: of the server.
        user: the role's name; on MySQL ``name`` or ``name@host``.
        database: the database of MySQL's tables.

    Raises:
        ValidationError: a name is empty or has a character that names cannot have.
    """
    if dialect is Dialect.SQLITE:
        return []
    if dialect is Dialect.POSTGRESQL:
        return _postgresql_grants(role, user)
    return _mysql_grants(role, user, database)


def _postgresql_grants(role: Role, user: str) -> list[Grant]:
    """Return the grants in PostgreSQL's syntax, on the schema ``public``."""
    _check_name(user)
    to = user if _PLAIN_NAME.match(user) else '"{}"'.format(user.replace('"', '""'))
    if role is Role.DBA:
        why = (
            "to migrate; the role that ran init owns the tables. "
            f"If another did, make it the owner of each: ALTER TABLE devices OWNER TO {to};"
        )
        return [_grant("schema public", {"USAGE": [], "CREATE": []}, why, "SCHEMA public", to)]
    made = [_grant("schema public", {"USAGE": []}, "to reach the tables", "SCHEMA public", to)]
    for name, needs in _needs(role, Dialect.POSTGRESQL).items():
        place = f"SEQUENCE {name}" if name.endswith(_SEQUENCE) else name
        made.append(_grant(name, needs, _why(name, needs), place, to))
    return made


def _mysql_grants(role: Role, user: str, database: str) -> list[Grant]:
    """Return the grants in the syntax of MySQL and MariaDB."""
    name, _, host = user.rpartition("@") if "@" in user else (user, "", "%")
    for part in (name, host, database):
        _check_name(part)
    to, quoted = f"'{_escaped(name)}'@'{_escaped(host)}'", f"`{database.replace('`', '``')}`"
    if role is Role.DBA:
        rights = {right: list[str]() for right in mysql_rights()}
        return [_grant("database", rights, "to migrate", f"{escaped_pattern(quoted)}.*", to)]
    return [
        _grant(table, needs, _why(table, needs), f"{quoted}.`{table}`", to)
        for table, needs in _needs(role, Dialect.MYSQL).items()
    ]


def _needs(role: Role, dialect: Dialect) -> dict[str, dict[str, list[str]]]:
    """Return the rights on each table, also those that no query needs."""
    accesses = {title: one.own for title, one in footprints(dialect).items()}
    needs = required_rights(role, dialect, accesses)
    further = list(BOOKKEEPING_TABLES)
    if role is Role.READER:
        known = required_rights(Role.APP, dialect, accesses)
        further += [name for name in known if name.endswith(_SEQUENCE)]
    return needs | {name: {"SELECT": []} for name in further}


def required_rights(
    role: Role, dialect: Dialect, accesses: Mapping[str, Access]
) -> dict[str, dict[str, list[str]]]:
    """Return the queries by table and right, with the schema's tables first, in its order.

    Args:
        role: ``app``, or ``reader``, who runs what writes nothing.
        dialect: of the server.
        accesses: what each query itself reads and writes, by title.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for title, own in accesses.items():
        access = own | _also(own, dialect)
        if not (role is Role.READER and access.tables_written):
            for does, table, _ in access.effects():
                found[table][_RIGHTS[does]].append(title)
    # Every role can read the catalogs, which no query writes.
    granted = union(accesses.values()).tables_written
    order = [*(table.name for table in metadata.sorted_tables), *sorted(found)]
    return {
        name: {right: found[name][right] for right in ROW_RIGHTS if right in found[name]}
        for name in dict.fromkeys(order)
        if name in found and (name in granted or name.endswith(_SEQUENCE))
    }


def _also(own: Access, dialect: Dialect) -> Access:
    if dialect is Dialect.POSTGRESQL:
        return NOTHING
    # MariaDB also requires SELECT for an upsert.
    upserted = own.inserts.keys() & own.updates.keys()
    return Access(reads=dict.fromkeys(upserted, frozenset()))


def _grant(on: str, needs: dict[str, list[str]], why: str | None, place: str, to: str) -> Grant:
    return Grant(on, needs, why, f"GRANT {', '.join(needs)} ON {place} TO {to};")


def _why(name: str, needs: dict[str, list[str]]) -> str | None:
    if name in BOOKKEEPING_TABLES:
        return "to know the migrations: status, export, import"
    return None if any(needs.values()) else "to back up by pg_dump"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _check_name(name: str) -> None:
    if not name or not name.isprintable():
        raise ValidationError(f"{name!r} is not a valid name of a role, a host or a database")
