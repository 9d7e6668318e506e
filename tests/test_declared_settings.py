"""Settings that components declare: what they take, and that secrets stay unseen."""

import threading

import pytest

from cardlink_sql import DatabaseEvent, UnitOfWork, declare_setting
from cardlink_sql.errors import ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import declared_settings as registry
from cardlink_sql.model.declared_settings import declared_settings
from tests.conftest import committed
from tests.test_settings import DEFAULTS


@pytest.fixture
def declaring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what the test declares."""
    monkeypatch.setattr(registry, "_registry", registry._registry)


@pytest.mark.usefixtures("declaring")
def test_a_component_declares_its_settings(uow: UnitOfWork) -> None:
    for _ in range(2):
        declare_setting("probe.every", int, 5, least=1, most=60, description="Seconds")
    declare_setting("probe.share", float, least=0, most=1, description="Share of cards")
    declare_setting("probe.name", str, "p", least=1, most=3, description="Name")
    declare_setting("probe.on", bool, False, description="Whether it runs")
    assert "probe" in uow.settings.get_categories()
    assert uow.settings.get_by_category("probe") == {
        "probe.every": 5, "probe.name": "p", "probe.on": False, "probe.share": None
    }  # fmt: skip
    for key, value, accepted in (
        ("probe.every", 61, "a whole number from 1 to 60"),
        ("probe.share", 1.5, "a number from 0.0 to 1.0"),
        ("probe.name", "long", "text of 1 to 3 characters"),
        ("probe.name", "", "text of 1 to 3 characters"),
        ("probe.on", 1, "true or false"),
    ):
        with pytest.raises(ValidationError, match=accepted):
            uow.settings.set_value(key, value)
    with pytest.raises(ValidationError, match=r"settings:1: probe\.every"):
        uow.settings.import_yaml("probe.every: 0")
    uow.settings.set_value("probe.every", 7)
    assert uow.settings.reset_to_defaults("probe") == ["probe.every"]


@pytest.mark.usefixtures("declaring")
def test_a_declaration_that_is_not_sound_is_refused() -> None:
    for arguments, said in [
        (("probe", int), "no category"),
        (("probe.", int), "no category"),
        (("probe.a", list), "the type must be bool"),
        (("probe.a", int, "1"), "is not a whole number"),
        (("server.port", int, 1), "already declared differently"),
    ]:
        with pytest.raises(ValidationError, match=said):
            declare_setting(*arguments, description="x")
        with pytest.raises(ValidationError, match="no value is"):
            declare_setting("probe.b", int, least=2, most=1, description="x")
        assert not {"probe.a", "probe.b"} & declared_settings().keys()


@pytest.mark.usefixtures("declaring")
def test_threads_declare_at_once() -> None:
    start = threading.Barrier(8)

    def declare(number: int) -> None:
        start.wait(10)
        for position in range(20):
            declare_setting(f"probe.t{number}_{position}", int, 1, description="x")
            assert list(declared_settings())

    threads = [threading.Thread(target=declare, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(declared_settings()) == len(DEFAULTS) + 160


@pytest.mark.usefixtures("declaring")
def test_a_secret_is_shown_only_where_it_is_asked_for(manager: DatabaseManager) -> None:
    declare_setting("probe.token", str, least=4, description="Token", secret=True)
    noted: list[DatabaseEvent] = []
    manager.events.on("*", noted.append)
    with committed(manager) as writer:
        writer.settings.set_value("probe.token", "hunter2")
    assert [event.data["value"] for event in noted if event.data] == ["***"]
    with UnitOfWork(manager) as uow:
        _holds_a_secret(uow)


def _holds_a_secret(uow: UnitOfWork) -> None:
    assert uow.settings.get_value("probe.token") == "hunter2"
    assert uow.settings.get_str("probe.token") == "hunter2"
    assert uow.settings.get_all_settings()["probe.token"] == "***"
    assert uow.settings.get_in_force("probe.token").value == "***"
    stored = uow.settings.get_all()[0]
    assert (stored.value, stored.to_dict()["value"], repr(stored).count("hunter2")) == (
        "hunter2", "***", 0,
    )  # fmt: skip
    assert stored.to_dict(show_secrets=True)["value"] == "hunter2"
    shown = uow.settings.get_in_force("probe.token", show_secrets=True)
    assert (shown.value, shown.is_secret) == ("hunter2", True)
    hidden = uow.settings.export_yaml()
    assert "# probe.token: '***'" in hidden
    assert uow.settings.import_yaml(hidden).updated == []
    assert "\nprobe.token: hunter2" in uow.settings.export_yaml(show_secrets=True)
    for act in (
        lambda: uow.settings.set_value("probe.token", "abc"),
        lambda: uow.settings.set_value("probe.token", "***"),
        lambda: uow.settings.get_int("probe.token"),
    ):
        with pytest.raises(ValidationError) as refused:
            act()
        assert not {"abc", "hunter2"} & set(str(refused.value).replace("'", " ").split())
