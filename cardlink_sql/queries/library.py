"""All queries of a dialect: ``sql/common`` and, where it differs, ``sql/<dialect>``."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from importlib.resources.abc import Traversable
from typing import Final, TypeVar

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.queries import resources
from cardlink_sql.queries.parser import outline
from cardlink_sql.queries.query import Query

_IS_QUERY_FILE: Final = re.compile(r"[a-z][a-z0-9_]*\.sql\Z")
COMMON: Final = "common"

T = TypeVar("T")


class Library:
    """The queries of one dialect, by gateway and name. Immutable and shared."""

    def __init__(self, dialect: Dialect, queries: Mapping[str, Mapping[str, Query]]) -> None:
        self.dialect = dialect
        self._queries = queries

    def gateway(self, name: str) -> Mapping[str, Query]:
        """Return the queries of the file ``name``.sql, or raise ``QueryError``."""
        try:
            return self._queries[name]
        except KeyError:
            raise QueryError(
                f"no file {name}.sql for {self.dialect}",
                "sql/",
                f"there are: {', '.join(sorted(self._queries))}",
            ) from None

    def query(self, gateway: str, name: str) -> Query:
        """Return the query ``name`` of the file ``gateway``.sql, or raise ``QueryError``."""
        queries = self.gateway(gateway)
        try:
            return queries[name]
        except KeyError:
            raise unknown_query(gateway, name, queries) from None

    def all(self) -> list[Query]:
        """Return every query, by gateway and name."""
        return [
            queries[name]
            for _, queries in sorted(self._queries.items())
            for name in sorted(queries)
        ]


def unknown_query(gateway: str, name: str, queries: Mapping[str, Query]) -> QueryError:
    """Return the error for a name that a gateway's file does not hold."""
    return QueryError(
        f"{gateway}.sql has no query {name!r}", "sql/", f"it has: {', '.join(sorted(queries))}"
    )


@cache
def load_library(dialect: Dialect) -> Library:
    """Return the library of a dialect, from the ``sql/`` folder that came with the package.

    A file is read when a gateway first needs it, and a query parsed when it is first sent; either
    raises ``QueryError`` if it is malformed.
    """
    return Library(dialect, _files(resources.folder("sql"), dialect, "sql", needs_reason=True))


@cache
def load_internal(dialect: Dialect) -> Library:
    """Return the statements of the machinery, from ``sql/internal``.

    No gateway sends them: they migrate, back up, restore and read catalogs. A name that is quoted
    and in braces, as in ``"{table}"``, is an identifier to put in.

    It is read as :func:`load_library` reads the gateways' files.
    """
    folder = resources.folder("sql").joinpath("internal")
    return Library(dialect, _files(folder, dialect, "sql/internal", needs_reason=False))


def read_library(folder: Traversable, dialect: Dialect) -> Library:
    """Read and parse the library of a dialect from a folder laid out as ``sql/`` is.

    Raises:
        QueryError: a file is malformed; the message names file, line and column.
    """
    library = Library(dialect, _files(folder, dialect, "sql", needs_reason=True))
    library.all()  # reads and parses each
    return library


def _files(
    folder: Traversable, dialect: Dialect, path: str, *, needs_reason: bool
) -> Mapping[str, Mapping[str, Query]]:
    """Return the queries of a folder by gateway; a file is read when its gateway is asked for."""
    files: dict[str, list[tuple[str, str, Traversable]]] = {}
    for part in (COMMON, dialect.value):
        for file in sorted(folder.joinpath(part).iterdir(), key=lambda file: file.name):
            place = f"{path}/{part}/{file.name}"
            if _IS_QUERY_FILE.match(file.name) and file.is_file():
                files.setdefault(file.name.removesuffix(".sql"), []).append((part, place, file))
            else:
                resources.warn_skipped(place, "query")

    def read(gateway: str) -> Mapping[str, Query]:
        # By query, the parsers of its forms: the common one, the dialect's own or both.
        forms: dict[str, list[Callable[[], Query]]] = {}
        for part, place, file in files[gateway]:
            is_own = needs_reason and part != COMMON
            found = outline(_text(file, place), place, dialect, needs_reason=is_own)
            for name, parse in found.items():
                forms.setdefault(name, []).append(parse)
        return _Lazy(forms, lambda name: _parsed(forms[name]))

    return _Lazy(files, read)


def _parsed(forms: list[Callable[[], Query]]) -> Query:
    *common, query = [parse() for parse in forms]
    for twin in common:
        for said in query.disagreements(twin):
            raise query.fault(said, "make both forms agree")
    return query


class _Lazy(dict[str, T]):
    """A mapping whose values are made when they are first asked for.

    It is a dict, for a look-up of what has been made runs no Python. Two threads may make a
    value at once: both are equal.
    """

    def __init__(self, names: Collection[str], make: Callable[[str], T]) -> None:
        super().__init__()
        self._names = names
        self._make = make

    def __missing__(self, name: str) -> T:
        value = self[name] = self._make(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    # dict's own would show what has been asked for.
    keys = Mapping.keys  # type: ignore[assignment]
    values = Mapping.values  # type: ignore[assignment]
    items = Mapping.items  # type: ignore[assignment]
    get = Mapping.get  # type: ignore[assignment]


def _text(file: Traversable, path: str) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QueryError("the file is not UTF-8", f"{path}:{line}", "save it as UTF-8") from error
