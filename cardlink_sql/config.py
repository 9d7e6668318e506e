"""Where the database is and how many connections may be open to it."""

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeGuard

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError

DEFAULT_URL: Final = "sqlite:///data/cardlink.db"

_DRIVERS: Final = {
    "sqlite": (Dialect.SQLITE, "sqlite+pysqlite"),
    "sqlite+pysqlite": (Dialect.SQLITE, "sqlite+pysqlite"),
    "mysql": (Dialect.MYSQL, "mysql+pymysql"),
    "mysql+pymysql": (Dialect.MYSQL, "mysql+pymysql"),
    "mariadb": (Dialect.MYSQL, "mysql+pymysql"),
    "mariadb+pymysql": (Dialect.MYSQL, "mysql+pymysql"),
    "postgresql": (Dialect.POSTGRESQL, "postgresql+psycopg"),
    "postgres": (Dialect.POSTGRESQL, "postgresql+psycopg"),
    "postgresql+psycopg": (Dialect.POSTGRESQL, "postgresql+psycopg"),
}
_SLOW_QUERY_VARIABLE: Final = "CARDLINK_SLOW_QUERY_MS"
_LONGEST_WAIT: Final = 365 * 24 * 3600.0
_LIMITS: Final = ("connect_timeout", "network_timeout")
_THRESHOLD: Final = "prepare_threshold"
# Which of several hosts will do, by libpq's name for it; on MySQL, too.
TARGET: Final = "target_session_attrs"
_MYSQL_TARGETS: Final = ("any", "read-write")
_URL_FORMS: Final = (
    "write sqlite:///path/to/file.db, postgresql://user:password@host/database "
    "or mysql://user:password@host/database; several hosts as host1:5432,host2:5432"
)
_SEVERAL: Final = re.compile(
    r"(?!sqlite)(\w[\w+]*://(?:[^/?@]*@)?)([^/?@]*,[^/?@]*)([/?].*)?", re.DOTALL
)
_HOST: Final = re.compile(r"(?:\[([^]]+)\]|([^:[\]]+))(?::(\d{1,5}))?")
_BEFORE_HOST: Final = re.compile(r"\w+://(?:[^/@]*@)?")
_PERCENT_ENCODE: Final = "percent-encode @ as %40 and / as %2F in the user name and the password"
_SECRET_OPTION: Final = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)


def _default_slow_query_ms() -> float | None:
    text = os.environ.get(_SLOW_QUERY_VARIABLE)
    try:
        return float(text) if text else None
    except ValueError:
        raise ValidationError(
            f"{text!r} is not a number of milliseconds", _SLOW_QUERY_VARIABLE
        ) from None


@dataclass(frozen=True, repr=False)
class DatabaseConfig:
    """How to reach the database. Immutable, checked when it is made.

    Args:
        url: ``sqlite:///file``, ``mysql://…`` (MariaDB too) or ``postgresql://…``; without it
            ``DATABASE_URL`` is taken, then ``sqlite:///data/cardlink.db``.
        pool_size: connections kept open, 1 or more.
        max_overflow: connections opened beyond ``pool_size`` under load, 0 or more.
        pool_timeout: seconds to wait for a connection when all are in use.
        connect_timeout: seconds that a server may take to let a connection in.
        network_timeout: seconds after which a connection is given up whose host acknowledges
            nothing any more. A long statement is not cut short. The URL may set this and
            ``connect_timeout``, too: ``?connect_timeout=3&network_timeout=15``.
        echo: log each statement through SQLAlchemy's logger (never its values).
        slow_query_ms: log each statement that took so many milliseconds or longer (never its
            values); 0 logs all, ``None`` none. Without it ``CARDLINK_SLOW_QUERY_MS`` is taken.
        prepare_threshold: after how many calls a statement is prepared on PostgreSQL, from 0;
            ``"none"`` for never. Without it 5, and never where a pooler is in between. The URL
            may set it, too: ``?prepare_threshold=none``.
        replica_url: a server that follows the first one, for units of work that prefer it.
            Without it ``DATABASE_REPLICA_URL`` is taken where ``DATABASE_URL`` is.

    A URL may name several hosts, ``postgresql://host1:5432,host2:5432/database``: each connection
    goes to the first that answers and is writable, or to any with ``?target_session_attrs=any``.
    ``connect_timeout`` is for each of them.

    Attributes:
        dialect: what the URL names.
        engine_url: the URL with the driver filled in, as SQLAlchemy takes it. Holds the password.
        safe_url: the URL for people to read: no password, no secret option.
        replica: the configuration of the replica, where there is one.

    Raises:
        ValidationError: a value is refused; the message names the field.
    """

    url: str = field(default_factory=lambda: os.environ.get("DATABASE_URL") or DEFAULT_URL)
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30
    echo: bool = False
    connect_timeout: float = 10
    network_timeout: float = 30
    slow_query_ms: float | None = field(default_factory=_default_slow_query_ms)
    prepare_threshold: int | Literal["none"] | None = None
    replica_url: str | None = None

    dialect: Dialect = field(init=False, compare=False)
    engine_url: URL = field(init=False, compare=False)
    safe_url: str = field(init=False, compare=False)
    replica: "DatabaseConfig | None" = field(init=False, compare=False)

    _target: ClassVar[str] = "read-write"

    def __post_init__(self) -> None:
        _check_whole("pool_size", self.pool_size, least=1)
        _check_whole("max_overflow", self.max_overflow, least=0)
        _check_seconds("pool_timeout", self.pool_timeout)
        if not isinstance(self.echo, bool):
            raise ValidationError(f"{self.echo!r} is not true or false", "config.echo")
        _check_milliseconds("slow_query_ms", self.slow_query_ms)
        dialect, engine_url = _parse(self.url)
        object.__setattr__(self, "safe_url", without_secrets(engine_url))
        engine_url = self._choose_target(self._take_limits(engine_url), dialect)
        if dialect is Dialect.POSTGRESQL:
            engine_url = self._take_threshold(engine_url)
        if self.prepare_threshold not in ("none", None):
            _check_whole("prepare_threshold", self.prepare_threshold, least=0)
        _check_seconds("connect_timeout", self.connect_timeout)
        _check_seconds("network_timeout", self.network_timeout)
        object.__setattr__(self, "dialect", dialect)
        object.__setattr__(self, "engine_url", engine_url)
        object.__setattr__(self, "replica", self._make_replica())

    @property
    def has_several_hosts(self) -> bool:
        """Return whether the URL names more than one host."""
        return bool(_hosts_of(self.engine_url))

    @property
    def is_sqlite(self) -> bool:
        """Return whether the URL names SQLite."""
        return self.dialect is Dialect.SQLITE

    @property
    def is_mysql(self) -> bool:
        """Return whether the URL names MySQL or MariaDB."""
        return self.dialect is Dialect.MYSQL

    @property
    def is_postgresql(self) -> bool:
        """Return whether the URL names PostgreSQL."""
        return self.dialect is Dialect.POSTGRESQL

    @property
    def is_memory(self) -> bool:
        """Return whether the URL names an SQLite database that lives in memory only."""
        return self.is_sqlite and self.file is None

    @property
    def file(self) -> Path | None:
        """Return the SQLite file; ``None`` for a database in memory and on a server."""
        name = self.engine_url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    @property
    def is_missing(self) -> bool:
        """Return whether the URL names an SQLite file that does not exist; connecting makes it."""
        return self.file is not None and not _exists(self.file)

    def _take_limits(self, url: URL) -> URL:
        """Take the limits that the URL sets: drivers call them by other names."""
        limits = {name: url.query[name] for name in _LIMITS if name in url.query}
        for name, value in limits.items():
            try:
                object.__setattr__(self, name, float(str(value)))
            except ValueError:
                raise ValidationError(
                    "expected a number of seconds", f"config.url?{name}"
                ) from None
        return url.difference_update_query(limits)

    def _choose_target(self, url: URL, dialect: Dialect) -> URL:
        if TARGET not in url.query and _hosts_of(url):
            url = url.update_query_dict({TARGET: self._target})
        if dialect is Dialect.MYSQL and url.query.get(TARGET, "any") not in _MYSQL_TARGETS:
            raise ValidationError(
                f"expected one of {', '.join(_MYSQL_TARGETS)}", f"config.url?{TARGET}"
            )
        return url

    def _make_replica(self) -> "DatabaseConfig | None":
        if self.replica_url is None and self.url == os.environ.get("DATABASE_URL"):
            found = os.environ.get("DATABASE_REPLICA_URL") or None
            object.__setattr__(self, "replica_url", found)
        if self.replica_url is None:
            return None
        try:
            replica = _ReplicaConfig(**self._given(url=self.replica_url, replica_url=None))
        except ValidationError as error:
            raise ValidationError(error.what, "config.replica_url", error.remedy) from None
        if replica.dialect is not self.dialect:
            raise ValidationError(
                f"the replica is {replica.dialect}, and the database is {self.dialect}",
                "config.replica_url",
            )
        return replica

    def _take_threshold(self, url: URL) -> URL:
        given = url.query.get(_THRESHOLD)
        if given is None:
            return url
        if given != "none" and not (isinstance(given, str) and given.isdecimal()):
            raise ValidationError(
                'expected a whole number from 0, or "none"', f"config.url?{_THRESHOLD}"
            )
        object.__setattr__(self, _THRESHOLD, given if given == "none" else int(given))
        return url.difference_update_query([_THRESHOLD])

    def _given(self, **instead: str | None) -> dict[str, Any]:
        """Return what the configuration was made of, with other values for some of it."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init} | instead

    def __repr__(self) -> str:
        replica_url = self.replica.safe_url if self.replica else None
        shown = self._given(url=self.safe_url, replica_url=replica_url)
        return f"DatabaseConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class _ReplicaConfig(DatabaseConfig):
    """How to reach a replica: any of its hosts will do."""

    _target = "any"

    def _make_replica(self) -> None:
        """A replica has none."""


def without_secrets(url: URL) -> str:
    """Return a URL for people to read: no driver, no password, no secret option."""
    plain = url.set(drivername=url.get_backend_name())
    if hosts := _hosts_of(url):
        plain = plain.difference_update_query(["host", "port"])
    hidden = {name: "***" for name in url.query if _SECRET_OPTION.search(name)}
    shown = plain.update_query_dict(hidden).render_as_string(hide_password=True)
    return _BEFORE_HOST.sub(lambda found: found[0] + hosts, shown, count=1)


def _hosts_of(url: URL) -> str:
    """Return the hosts as a URL has them where there are several; otherwise nothing."""
    hosts = str(url.query.get("host", "")).split(",")
    ports = str(url.query.get("port", "")).split(",")
    pairs = zip(hosts, ports, strict=True) if len(hosts) > 1 else ()
    return ",".join(_host_and_port(*pair) for pair in pairs)


def _read(text: str) -> URL:
    """Return SQLAlchemy's URL, in which several hosts are libpq's ``?host=…,…&port=…,…``.

    Raises:
        ValueError: a host or a port is malformed.
    """
    several = _SEVERAL.fullmatch(text)
    if several:
        return _with_hosts(make_url(several[1] + (several[3] or "")), several[2].split(","))
    url = make_url(text)
    given = url.query.get("host", "")
    if isinstance(given, tuple):
        return _with_hosts(url, given)
    if "," not in given:
        return url
    hosts, ports = given.split(","), str(url.query.get("port", "")).split(",")
    pairs = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True)
    return _with_hosts(url, (_host_and_port(*pair) for pair in pairs))


def _with_hosts(url: URL, given: Iterable[str]) -> URL:
    """Put hosts into a URL, each with a port or without."""
    default = "3306" if url.drivername.startswith(("mysql", "mariadb")) else "5432"
    found = [_HOST.fullmatch(one) for one in given]
    if not all(one and int(one[3] or default) < 1 << 16 for one in found):
        raise ValueError("malformed host or port")
    hosts = ",".join(one[1] or one[2] for one in found if one)
    ports = ",".join(one[3] or default for one in found if one)
    return url.update_query_dict({"host": hosts, "port": ports})


def _host_and_port(host: str, port: str) -> str:
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def _check_whole(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValidationError(
            f"must be a whole number of {least} or more, got {value!r}", f"config.{name}"
        )


def _check_seconds(name: str, value: object) -> None:
    if not (_is_number(value) and 0 < value <= _LONGEST_WAIT):
        raise ValidationError(
            f"must be a number of seconds above 0 and at most {_LONGEST_WAIT:.0f}, got {value!r}",
            f"config.{name}",
        )


def _check_milliseconds(name: str, value: object) -> None:
    if value is not None and not (_is_number(value) and 0 <= value < math.inf):
        raise ValidationError(
            f"must be a number of milliseconds of 0 or more, got {value!r}", f"config.{name}"
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):
        return True  # connecting says what is wrong with it


def _parse(text: object) -> tuple[Dialect, URL]:
    """Read a URL without ever quoting it: a faulty one may show parts of its password."""
    where = "config.url"
    if not isinstance(text, str):
        raise ValidationError(f"the URL is {type(text).__name__}, not text", where, _URL_FORMS)
    try:
        url = _read(text)
    except (ArgumentError, ValueError):
        raise ValidationError(
            "the URL cannot be read", where, f"{_URL_FORMS}; {_PERCENT_ENCODE}"
        ) from None
    if url.drivername not in _DRIVERS:
        raise ValidationError(
            f"{url.drivername!r} is not a backend of cardlink-sql", where, _URL_FORMS
        )
    dialect, drivername = _DRIVERS[url.drivername]
    if dialect is Dialect.SQLITE:
        _check_sqlite(url)
    else:
        _check_server(url, text)
    return dialect, url.set(drivername=drivername)


def _check_sqlite(url: URL) -> None:
    if url.host or url.username or url.password or url.port:
        raise ValidationError(
            "an SQLite URL names a file, not a host",
            "config.url",
            "write three slashes for a relative path, sqlite:///data/cardlink.db, "
            "four for an absolute one",
        )
    if url.query:
        raise ValidationError(
            "an SQLite URL takes no options",
            "config.url",
            "leave out ? and what follows; a file name cannot hold it either",
        )
    if url.database and "\0" in url.database:
        raise ValidationError("the file name holds a NUL character", "config.url")


def _check_server(url: URL, text: str) -> None:
    if text.count("@") > (url.username is not None):
        raise ValidationError("the URL has an unencoded @", "config.url", _PERCENT_ENCODE)
    if not url.database:
        raise ValidationError("the URL names no database", "config.url", _URL_FORMS)
