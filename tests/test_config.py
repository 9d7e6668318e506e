"""Where the database is: what a configuration takes, refuses and shows."""

import dataclasses
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from cardlink_sql import DatabaseConfig, Dialect, ValidationError

ODD_PASSWORD = "p@ss:w/rd#%?é"


@pytest.mark.parametrize(
    ("given", "environment", "url"),
    [
        (None, "postgresql://db.example/cardlink", "postgresql://db.example/cardlink"),
        ("sqlite:///other.db", "postgresql://db.example/cardlink", "sqlite:///other.db"),
        (None, "", "sqlite:///data/cardlink.db"),
        (None, None, "sqlite:///data/cardlink.db"),
    ],
)
def test_the_url_is_the_given_one_that_of_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environment: str | None, url: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if environment is not None:
        monkeypatch.setenv("DATABASE_URL", environment)
    assert (DatabaseConfig(given) if given else DatabaseConfig()).url == url


@pytest.mark.parametrize(
    ("value", "threshold"), [(None, None), ("", None), ("0", 0), ("250", 250), ("0.5", 0.5)]
)
def test_the_environment_gives_the_threshold_of_slow_queries(
    monkeypatch: pytest.MonkeyPatch, value: str | None, threshold: float | None
) -> None:
    monkeypatch.delenv("CARDLINK_SLOW_QUERY_MS", raising=False)
    if value is not None:
        monkeypatch.setenv("CARDLINK_SLOW_QUERY_MS", value)

    assert DatabaseConfig("sqlite://").slow_query_ms == threshold
    assert DatabaseConfig("sqlite://", slow_query_ms=7).slow_query_ms == 7
    assert DatabaseConfig("sqlite://", slow_query_ms=None).slow_query_ms is None


def test_a_bad_threshold_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, where in [
        ("fast", "CARDLINK_SLOW_QUERY_MS"),
        ("1s", "CARDLINK_SLOW_QUERY_MS"),
        ("-1", "config.slow_query_ms"),
        ("nan", "config.slow_query_ms"),
    ]:
        monkeypatch.setenv("CARDLINK_SLOW_QUERY_MS", value)

        with pytest.raises(ValidationError, match="milliseconds") as refused:
            DatabaseConfig("sqlite://")
        assert refused.value.where == where


@pytest.mark.parametrize(
    ("url", "dialect", "driver"),
    [
        ("sqlite:///x.db", Dialect.SQLITE, "sqlite+pysqlite"),
        ("sqlite://", Dialect.SQLITE, "sqlite+pysqlite"),
        ("mysql://h/d", Dialect.MYSQL, "mysql+pymysql"),
        ("mariadb://h/d", Dialect.MYSQL, "mysql+pymysql"),
        ("mysql+pymysql://h/d", Dialect.MYSQL, "mysql+pymysql"),
        ("postgresql://h/d", Dialect.POSTGRESQL, "postgresql+psycopg"),
        ("postgres://h/d", Dialect.POSTGRESQL, "postgresql+psycopg"),
        ("postgresql+psycopg://h/d", Dialect.POSTGRESQL, "postgresql+psycopg"),
    ],
)
def test_the_right_driver_follows_from_the_url(url: str, dialect: Dialect, driver: str) -> None:
    config = DatabaseConfig(url)

    assert config.engine_url.drivername == driver
    assert config.dialect is dialect
    assert [config.is_sqlite, config.is_mysql, config.is_postgresql] == [
        dialect is Dialect.SQLITE,
        dialect is Dialect.MYSQL,
        dialect is Dialect.POSTGRESQL,
    ]


def test_a_file_is_missing_until_it_is_there_and_memory_never(tmp_path: Path) -> None:
    config = DatabaseConfig(f"sqlite:///{tmp_path / 'x.db'}")
    assert (config.is_missing, config.is_memory) == (True, False)
    (tmp_path / "x.db").touch()
    assert not config.is_missing
    for url in ("sqlite://", "sqlite:///:memory:"):
        memory = DatabaseConfig(url)
        assert (memory.is_missing, memory.is_memory) == (False, True)


BAD_URLS = [
    "", "x", "://", "/var/data/x.db", "oracle://h/d", "mysql+mysqldb://h/d",
    "postgresql+psycopg2://h/d", "postgresql://h", "postgresql://h/", "mysql://u:p@h",
    "postgresql://h:port/d", "sqlite://data/x.db", "sqlite:////x.db?mode=ro",
    "postgresql://u:p@ss@h@i/d", None, 5, b"sqlite:///x.db", Path("x.db"),
    # Several hosts.
    "postgresql://h1,/d", "postgresql://h1:x,h2/d", "mysql://h1:70000,h2/d", "mysql://h1,h2",
    "postgresql:///d?host=a,b,c&port=1,2",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS, ids=repr)
def test_a_bad_url_is_refused_with_a_hint(url: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        DatabaseConfig(url)
    assert str(refused.value.where).startswith("config.url")
    assert refused.value.remedy


BAD_VALUES: dict[str, list[Any]] = {
    "pool_size": [0, -1, 1.5, "5", True, None],
    "max_overflow": [-1, 2.0, False],
    "pool_timeout": [0, -0.1, math.nan, math.inf, "30", None, True],
    "echo": [1, "debug", None],
    "slow_query_ms": [-1, math.nan, math.inf, "500", True],
    "connect_timeout": [0, "3"],
    "prepare_threshold": [-1, "5", True],
}


@pytest.mark.parametrize("field", BAD_VALUES)
def test_a_bad_value_is_refused_and_the_field_named(field: str) -> None:
    for value in BAD_VALUES[field]:
        with pytest.raises(ValidationError) as refused:
            DatabaseConfig("sqlite://", **{field: value})
        assert refused.value.where == f"config.{field}", value


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"url": "sqlite:///x\0.db"}, "NUL"),
        (
            {"url": "mysql://h1,h2/d?target_session_attrs=standby"},
            "one of any, read-write",
        ),
        ({"url": "sqlite://", "pool_timeout": 1e9}, "above 0 and at most 31536000, got 1000000000"),
    ],
)
def test_a_refusal_says_what_is_allowed(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DatabaseConfig(**config)


def test_only_a_copy_is_changed_and_it_is_checked_again() -> None:
    config = DatabaseConfig("sqlite://")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.url = "sqlite:///x.db"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        dataclasses.replace(config, url="oracle://h/d")


def test_the_password_is_in_nothing_that_people_read() -> None:
    for scheme in ["postgresql", "mysql"]:
        config = DatabaseConfig(f"{scheme}://ann:{quote(ODD_PASSWORD, safe='')}@h/d")

        assert config.engine_url.password == ODD_PASSWORD
        assert config.safe_url == f"{scheme}://ann:***@h/d"
        for shown in (repr(config), str(config), f"{config}", config.safe_url):
            assert "ss:w" not in shown
            assert quote(ODD_PASSWORD, safe="") not in shown


def test_a_secret_among_the_options_is_not_shown() -> None:
    for option in ["password", "sslpassword", "passwd", "auth_token", "ssl_key"]:
        config = DatabaseConfig(f"postgresql://h/d?{option}=hunter2&connect_timeout=3")

        assert "hunter2" not in repr(config)
        assert "connect_timeout=3" in config.safe_url


@given(st.text(min_size=4, alphabet="!$&'()*+,;=@:/?#[]%éß€ \\\"<>xyz"))
def test_no_password_shows_whatever_its_characters(password: str) -> None:
    config = DatabaseConfig(f"mysql://ann:{quote(password, safe='')}@db.example:3306/cards")

    assert config.engine_url.password == password
    assert config.safe_url == "mysql://ann:***@db.example:3306/cards"
    assert "ann:***@db.example" in repr(config)


@given(st.text(min_size=4, max_size=12, alphabet="@:/?#[]%xyz"))
def test_a_url_that_is_not_encoded_is_never_quoted_back(password: str) -> None:
    try:
        config = DatabaseConfig(f"mysql://ann:SECRET{password}@h/d")
    except ValidationError as refused:
        assert "SECRET" not in str(refused)
        assert refused.__cause__ is None
    else:
        assert "SECRET" not in repr(config)


def test_a_password_with_a_bare_at_sign_is_refused_and_not_quoted() -> None:
    for url in [
        "postgresql://cl:p@ssw0rd/tail@127.0.0.1/db",
        "mysql://cl:p@s/s3cr3t@127.0.0.1/db",
        "mysql://cl:p@s/s:w%#?s3cr3t@127.0.0.1/db",
        "postgresql://cl:p@s3cr3t@127.0.0.1/db",
    ]:
        with pytest.raises(ValidationError) as caught:
            DatabaseConfig(url)
        assert "percent-encode" in str(caught.value.remedy)
        for piece in ("ss", "s3cr3t", "tail"):
            assert piece not in caught.value.what


def test_several_hosts_are_read_shown_and_read_again() -> None:
    for url, shown in [
        ("postgresql://ann:a,b@h1:5433,h2/d", "postgresql://ann:***@h1:5433,h2:5432/d"),
        ("mysql://h1,[::1]:3307/d", "mysql://h1:3306,[::1]:3307/d"),
        ("postgresql://ann@/d?host=h1,::2&port=7", "postgresql://ann@h1:7,[::2]:7/d"),
        ("postgresql:///d?host=h1:1&host=h2:2", "postgresql://h1:1,h2:2/d"),
    ]:
        config = DatabaseConfig(url)
        again = DatabaseConfig(config.engine_url.render_as_string(hide_password=False))

        assert config.safe_url == shown
        assert config.has_several_hosts
        assert again.engine_url == config.engine_url
        assert again.safe_url == f"{shown}?target_session_attrs=read-write"


def test_a_replica_is_of_the_same_backend_and_follows_the_environment_with_the_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://h/d")
    monkeypatch.setenv("DATABASE_REPLICA_URL", "mysql://ann:hunter2@r1,r2/d")
    config = DatabaseConfig(connect_timeout=3)

    assert config.replica.connect_timeout == 3
    assert config.replica.engine_url.query["target_session_attrs"] == "any"
    assert "@r1:3306,r2:3306/d" in repr(config)
    assert "hunter2" not in repr(config)
    assert DatabaseConfig("postgresql://h/d").replica is None
    for url in ["postgresql://h/d", "mysql://h"]:
        with pytest.raises(ValidationError) as refused:
            DatabaseConfig("mysql://h/d", replica_url=url)
        assert refused.value.where == "config.replica_url"
