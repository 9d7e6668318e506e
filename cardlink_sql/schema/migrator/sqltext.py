"""Checks of a migration file's code, with strings and comments blanked out."""

import re
from functools import lru_cache
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError, QueryError
from cardlink_sql.queries.lexer import BLANK, Kind, Token, tokenize

_HIDDEN: Final = BLANK | {Kind.STRING, Kind.IDENTIFIER}
_DELIMITER: Final = re.compile(r"^[ \t]*DELIMITER\b", re.IGNORECASE | re.MULTILINE)
_ROUTINE: Final = re.compile(
    r"\s*CREATE\b(?:[^;(]|\(\s*\))*?\b(TRIGGER|FUNCTION|PROCEDURE|EVENT)\b", re.IGNORECASE
)
_TRANSACTION: Final = re.compile(
    r"(?:^|;)\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE"
    r"|SET\s+(?:@@)?(?:SESSION\s+|SESSION\.)?AUTOCOMMIT)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def code(text: str, dialect: Dialect) -> str:
    """Return the text with each character of a string, comment or quoted name as a space.

    The length and the lines do not change.

    Raises:
        QueryError: a string, a comment or a quoted name is not closed.
    """
    return "".join(_visible(token, dialect) for token in tokenize(text, dialect))


def _visible(token: Token, dialect: Dialect) -> str:
    # /*! … */ and /*M! … */ are code to MySQL and MariaDB.
    if dialect is Dialect.MYSQL and (opener := re.match(r"/\*M?!", token.text)):
        inner = code(token.text[opener.end() : -2], dialect)
        return f"{' ' * opener.end()}{inner}  "
    return re.sub(r"[^\n]", " ", token.text) if token.kind in _HIDDEN else token.text


def check(text: str, dialect: Dialect, where: str) -> None:
    """Refuse text that cannot be split into statements.

    Raises:
        MigrationError: with ``file:line``.
    """
    try:
        visible = code(text, dialect)
    except QueryError as error:
        line = str(error.where).split(":")[1]
        raise MigrationError(error.what, f"{where}:{line}", error.remedy) from None
    if delimiter := _DELIMITER.search(visible):
        raise MigrationError(
            "DELIMITER is a command of the mysql client, not SQL",
            f"{where}:{text.count(chr(10), 0, delimiter.end()) + 1}",
            "remove it: a ; in the body of a routine or a trigger needs no delimiter",
        )


def check_statement(visible: str, where: str) -> None:
    """Refuse a statement that opens or ends a transaction: each migration has one already.

    Args:
        visible: the statement as :func:`code` returns it.
        where: ``file:line``, for the error.

    Raises:
        MigrationError: it is one of these.
    """
    if _ROUTINE.match(visible):
        return
    if found := _TRANSACTION.search(visible):
        raise MigrationError(
            f"{found[1].upper()} in a migration",
            where,
            "remove it: a migration is one transaction already; "
            "-- transactional: false in its first line switches that off",
        )
