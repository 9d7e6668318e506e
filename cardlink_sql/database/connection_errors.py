"""The error for a connection that could not be made."""

import re
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, TimeoutError as PoolTimeoutError

from cardlink_sql.config import TARGET, without_secrets
from cardlink_sql.database.backend import Backend
from cardlink_sql.database.faults import Fault, error_for
from cardlink_sql.errors import ConnectionError, DatabaseError

_NO_DATABASE: Final = re.compile(r'database ".*" does not exist|Unknown database')

# Options of a URL that say where the database is.
_PLACE: Final = {"host", "port", TARGET}


def connection_error(backend: Backend, error: Exception, url: URL) -> DatabaseError:
    """Return the error for a connection that could not be made; the password never shows.

    ``error`` is the driver's or the pool's.
    """
    where = without_secrets(url.difference_update_query([TARGET]))  # set where the user did not
    if isinstance(error, PoolTimeoutError):
        return ConnectionError(
            "every connection of the pool is in use",
            where,
            "end units of work sooner, or raise pool_size or pool_timeout",
        )
    if isinstance(error, UnicodeError):
        return ConnectionError(
            "the user, the password or the host holds a character that cannot be sent", where
        )
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    fault = backend.diagnose(cause)[0] if isinstance(cause, backend.driver_error) else None
    if fault is Fault.FULL:
        return error_for(fault, None, where)
    text = " ".join(str(part) for part in cause.args[-1:]).strip() or type(cause).__name__
    line = text.splitlines()[0]
    if url.password:
        line = line.replace(str(url.password), "***")
    if _NO_DATABASE.search(line):
        return ConnectionError(f"cannot connect: {line}", where, "create the database first")
    is_option = not isinstance(error, DBAPIError) and bool(url.query.keys() - _PLACE)
    hint = fault.remedy if fault is Fault.LOCKED else backend.hint
    if is_option:
        hint = "check the options after ? in the URL"
    return ConnectionError(f"cannot connect: {line}", where, hint)
