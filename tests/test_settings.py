"""Settings: defaults, what is accepted, and that every JSON value reads back as it was stored."""

import math
import threading
from typing import Any

import pytest
from hypothesis import strategies as st

from cardlink_sql import Setting, UnitOfWork
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import IntegrityError, NotFoundError, QueryError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.declared_settings import declared_settings
from tests.conftest import MOMENT, committed
from tests.exchange_data import nested

DEFAULTS = {
    "server.cipher_suites": "PSK-AES128-CBC-SHA256",
    "server.host": "0.0.0.0",
    "server.max_connections": 100,
    "server.port": 8443,
    "server.session_timeout": 300,
    "server.timeout": 60,
    "dashboard.auth": False,
    "dashboard.host": "127.0.0.1",
    "dashboard.port": 8080,
    "dashboard.enabled": True,
    "metrics.path": "/metrics",
    "metrics.port": 9090,
    "metrics.enabled": True,
    "retention.logs_days": 30,
    "retention.sessions_days": 90,
    "retention.tests_days": 90,
}
VALUES = [
    *(None, False, True, 0, -1, 2**63 - 1, 1.5, -0.25),
    *("", "null", "ß€𝄞", [], {}),
    [None, {"a": [1.0]}],
    nested(31),
]

# Text and numbers that all backends keep: no NUL, no surrogates, 64 bits, floats below 1e16.
json_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
json_numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(-1e15, 1e15)
json_values = st.recursive(
    st.none() | st.booleans() | json_numbers | json_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_text, inner, max_size=4),
    max_leaves=12,
)


def same(first: Any, second: Any) -> bool:
    """Equal in type, too: 1, 1.0 and True are three values."""
    return repr(first) == repr(second) or (type(first) is type(second) and first == second)


def test_a_new_database_has_the_defaults(uow: UnitOfWork) -> None:
    assert {key: uow.settings.get_value(key) for key in DEFAULTS} == DEFAULTS
    assert uow.settings.get_all_settings() == DEFAULTS
    assert uow.settings.count() == 0


def test_every_default_is_a_value_that_its_setting_takes() -> None:
    assert {key: declared.default for key, declared in declared_settings().items()} == DEFAULTS
    for key, declared in declared_settings().items():
        declared.check(declared.default, key)
        assert declared.category == key.partition(".")[0]
        assert 0 < len(declared.description) <= 256


def test_a_value_that_a_declared_setting_does_not_take_is_refused(uow: UnitOfWork) -> None:
    for key, value, accepted in [
        ("server.port", 70000, "a whole number from 1 to 65535"),
        ("server.port", 0, "a whole number from 1 to 65535"),
        ("dashboard.port", "8080", "a whole number from 1 to 65535"),
        ("metrics.port", True, "a whole number from 1 to 65535"),
        ("metrics.port", 9090.0, "a whole number from 1 to 65535"),
        ("server.timeout", 0, "a whole number from 1 to 86400"),
        ("retention.logs_days", -1, "a whole number from 1 to 36500"),
        ("retention.sessions_days", None, "a whole number from 1 to 36500"),
        ("server.host", "", "a host name or address"),
        ("dashboard.host", 1, "a host name or address"),
        ("metrics.path", "metrics", "a path of 1 to 255 characters"),
        ("server.cipher_suites", [], "text of 1 to 1024"),
        ("dashboard.enabled", "yes", "true or false"),
        ("metrics.enabled", 1, "true or false"),
        ("metrics.enabled", [True], "true or false"),
    ]:
        with pytest.raises(ValidationError, match=f"is not {accepted}") as refused:
            uow.settings.set_value(key, value)
        assert refused.value.where == f"settings[{key}]"
        with pytest.raises(ValidationError, match=accepted):
            uow.settings.create(Setting(key, value, category=key.partition(".")[0]))
        assert uow.settings.count() == 0


def test_the_category_of_a_declared_setting_is_fixed(uow: UnitOfWork) -> None:
    refused = pytest.raises(ValidationError, match=r"the category of server\.port is server")
    with refused:
        uow.settings.set_value("server.port", 1, category="lab")
    with refused:
        uow.settings.create(Setting("server.port", 1))
    stored = uow.settings.set_value("server.port", 1)
    stored.category = "lab"
    with refused:
        uow.settings.update(stored)
    assert uow.settings.set_value("server.port", 1, category="server").category == "server"


def test_a_value_reads_back_as_it_was_stored(uow: UnitOfWork) -> None:
    for value in VALUES:
        stored = uow.settings.set_value("lab.value", value)
        assert same(stored.value, value)
        assert same(uow.settings.get_value("lab.value"), value)
        assert same(uow.settings.get_value("lab.value", "another"), value)
        assert uow.settings.exists("lab.value")


def test_none_is_stored_as_null_of_json_and_null_of_sql_reads_as_none(
    manager: DatabaseManager,
) -> None:
    with committed(manager) as uow:
        uow.settings.set_value("lab.null", None)
        uow.settings.create(Setting("lab.other", None))
    with manager.engine.begin() as connection:
        count = "SELECT COUNT(*) FROM settings WHERE value IS NULL"
        assert connection.exec_driver_sql(count).scalar() == 0
        connection.exec_driver_sql("UPDATE settings SET value = NULL")
    assert manager.run(lambda uow: uow.settings.get_value("lab.null")) is None


def test_other_than_json_values_are_refused(uow: UnitOfWork) -> None:
    for value in [math.nan, 2**63, {"a": {"b": b"x"}}, MOMENT, "x" * 262_143, nested(32)]:
        with pytest.raises(ValidationError) as refused:
            uow.settings.set_value("lab.value", value)
        assert str(refused.value.where).startswith("settings[lab.value]")
        with pytest.raises(ValidationError):
            uow.settings.create(Setting("lab.value", value))
        assert uow.settings.count() == 0


def test_a_category_is_no_setting(uow: UnitOfWork) -> None:
    with pytest.raises(ValidationError, match="server is a category and no setting") as refused:
        uow.settings.set_value("server", 1)
    assert "name its settings in full, as server" in str(refused.value)
    assert uow.settings.get_all() == []


def test_an_undeclared_key_of_a_declared_category_is_taken(uow: UnitOfWork) -> None:
    assert uow.settings.set_value("server.prot", [1]).category == "server"
    assert uow.settings.set_value("lab.port", 1, category="dashboard").category == "dashboard"
    assert uow.settings.import_yaml("server.own: a").created == ["server.own"]


def test_keys_differ_by_case_and_by_every_sign(uow: UnitOfWork) -> None:
    keys = ["lab.A", "lab.a", "lab.á", "lab.a b", "lab", "lab.", "." * 128]
    for position, key in enumerate(keys):
        uow.settings.set_value(key, position)
    assert [uow.settings.get_value(key) for key in keys] == list(range(len(keys)))


def test_an_absent_key_is_an_error_or_the_default_given(uow: UnitOfWork) -> None:
    with pytest.raises(NotFoundError, match=r"'lab\.none'"):
        uow.settings.get_value("lab.none")
    for value in (None, False, 0, ""):
        assert same(uow.settings.get_value("lab.none", value), value)
    assert uow.settings.get_value("server.port", 1) == 8443


def test_typed_reads(uow: UnitOfWork) -> None:
    settings = uow.settings
    settings.set_value("lab.text", "on")
    settings.set_value("lab.share", 0.5)
    assert same(settings.get_int("server.port"), 8443)
    assert same(settings.get_float("server.port"), 8443.0)
    assert same(settings.get_bool("metrics.enabled"), True)
    assert same(settings.get_str("lab.text"), "on")
    assert same(settings.get_float("lab.share"), 0.5)
    assert (settings.get_int("x", 1), settings.get_bool("x", False)) == (1, False)
    assert (settings.get_float("x", 1.5), settings.get_str("x", "")) == (1.5, "")
    with pytest.raises(NotFoundError):
        settings.get_int("x")


def test_a_typed_read_of_another_type_is_refused(uow: UnitOfWork) -> None:
    for read, values, accepted in [
        ("get_int", [True, 1.0, "1", None, [1]], "a whole number"),
        ("get_bool", [1, 0, "true", None], "True or False"),
        ("get_float", [True, "1.5", None], "a number"),
        ("get_str", [1, None, True, ["a"]], "text"),
    ]:
        for value in values:
            uow.settings.set_value("lab.value", value)
            with pytest.raises(ValidationError, match=f"is not {accepted}") as refused:
                getattr(uow.settings, read)("lab.value")
            assert refused.value.where == "settings[lab.value]"


def test_a_second_value_keeps_what_is_not_given(uow: UnitOfWork) -> None:
    first = uow.settings.set_value("lab.name", "a", "who to call", "people")
    second = uow.settings.set_value("lab.name", "b")
    assert (second.value, second.description, second.category) == ("b", "who to call", "people")
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    third = uow.settings.set_value("lab.name", "b", "another", "lab")
    assert (third.description, third.category) == ("another", "lab")
    assert uow.settings.count() == 1


def test_a_new_setting_has_defaults(uow: UnitOfWork) -> None:
    declared = uow.settings.set_value("server.port", 1)
    assert (declared.category, declared.description) == ("server", "TCP port of the admin server")
    for key, category in (
        ("lab.a.b", "lab"),
        ("motd", "general"),
        (".x", "general"),
        ("lab .x", "general"),
        (f"{'x' * 65}.y", "general"),
    ):
        stored = uow.settings.set_value(key, 1)
        assert (stored.category, stored.description) == (category, None), key


def test_two_writers_of_one_new_key_do_not_collide(manager: DatabaseManager) -> None:
    both_are_in = threading.Barrier(2)
    errors: list[BaseException] = []

    def write(value: int) -> None:
        try:
            with committed(manager) as uow:
                if manager.dialect is not Dialect.SQLITE:
                    uow.settings.count()  # SQLite lets one writer in at a time
                both_are_in.wait(10)
                uow.settings.set_value("lab.race", value)
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    with UnitOfWork(manager) as uow:
        assert uow.settings.get_value("lab.race") in (1, 2)


def test_what_holds_says_what_is_stored_and_what_is_declared(uow: UnitOfWork) -> None:
    stored = uow.settings.set_value("server.port", 9443, "behind the proxy")
    uow.settings.set_value("lab.name", "a")
    held = {setting.key: setting for setting in uow.settings.find_in_force()}
    assert sorted(held) == list(held) == sorted({*DEFAULTS, "lab.name"})
    port, timeout, lab = held["server.port"], held["server.timeout"], held["lab.name"]
    assert (port.value, port.default, port.is_stored, port.is_declared) == (9443, 8443, True, True)
    assert (port.description, port.updated_at) == ("behind the proxy", stored.updated_at)
    assert port.form == "a whole number from 1 to 65535"
    assert (timeout.value, timeout.is_stored, timeout.updated_at) == (60, False, None)
    assert (lab.is_stored, lab.is_declared, lab.default, lab.form) == (True, False, None, None)


def test_categories(uow: UnitOfWork) -> None:
    assert uow.settings.get_categories() == ["dashboard", "metrics", "retention", "server"]
    uow.settings.set_value("lab.name", "a")
    uow.settings.set_value("motd", "hello", category="lab")
    assert uow.settings.get_categories() == ["dashboard", "lab", "metrics", "retention", "server"]
    assert list(uow.settings.get_by_category("lab")) == ["lab.name", "motd"]
    assert list(uow.settings.get_by_category("server")) == list(DEFAULTS)[:6]
    assert uow.settings.get_by_category("Server") == {}


def test_settings_are_filtered_ordered_and_deleted_by_key(uow: UnitOfWork) -> None:
    settings = uow.settings
    settings.create_all([Setting("a", 1, "first"), Setting("b", [1], None, "x", MOMENT, MOMENT)])
    with pytest.raises(IntegrityError), uow.savepoint():
        settings.create(Setting("b", 2))
    assert [s.key for s in settings.find_by(description=None)] == ["b"]
    assert [s.key for s in settings.find_by(category="x")] == ["b"]
    assert [s.key for s in settings.paginate(order_by="updated_at").items] == ["b", "a"]
    changed = settings.update(Setting("b", {"n": 1}, "text", "y"))
    assert (changed.value, changed.category, changed.created_at) == ({"n": 1}, "y", MOMENT)
    assert [settings.delete("a"), settings.delete("a")] == [True, False]
    with pytest.raises(QueryError, match="cannot be filtered by 'value'"):
        settings.find_by(value=1)


def test_reset_takes_the_stored_values_of_declared_settings(uow: UnitOfWork) -> None:
    for key in ("server.port", "metrics.port", "lab.name"):
        uow.settings.set_value(key, 1)
    assert uow.settings.reset_to_defaults("dashboard") == []
    assert uow.settings.reset_to_defaults("server") == ["server.port"]
    assert uow.settings.get_value("server.port") == 8443
    assert uow.settings.get_value("metrics.port") == 1
    assert uow.settings.reset_to_defaults() == ["metrics.port"]
    assert uow.settings.get_value("lab.name") == 1
    with pytest.raises(ValidationError, match="'lab' is none of: dashboard, metrics, ret"):
        uow.settings.reset_to_defaults("lab")
