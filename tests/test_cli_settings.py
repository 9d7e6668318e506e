"""``cardlink-db settings`` as an operator uses it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import declared_settings as registry
from tests.conftest import COMMAND, Run, committed, dump, sqlite
from tests.test_settings import DEFAULTS

dialect = sqlite


def test_list_shows_what_holds(run: Run, url: str, manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        uow.settings.set_value("server.port", 9443)
        uow.settings.set_value("lab.note", "clear \x1b[2J", "a\x9bb", "people")
    done = run("settings", "list", "-d", url)
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert DEFAULTS.keys() <= lines.keys()
    assert lines["server.timeout"].split()[1:3] == ["60", "default"]
    assert lines["server.port"].split()[1] == "9443"
    assert "default" not in lines["server.port"]
    assert not {"\x1b", "\x9b"} & set(done.stdout)

    held = json.loads(run("settings", "list", "--json", "-d", url).stdout)
    by_key = {one["key"]: one for one in held}
    assert {key: by_key[key]["default"] for key in DEFAULTS} == DEFAULTS
    assert by_key["lab.note"]["value"] == "clear \x1b[2J"
    assert by_key["server.port"]["updated_at"].endswith("+00:00")
    one = json.loads(run("settings", "list", "--category", "people", "--json", "-d", url).stdout)
    assert [setting["key"] for setting in one] == ["lab.note"]
    assert "No setting" in run("settings", "list", "--category", "none", "-d", url).stdout


def test_a_value_is_json_or_else_text(run: Run, url: str) -> None:
    for written, value, printed in [
        ("9443", 9443, "9443"),
        ("-5", -5, "-5"),
        ("1.5", 1.5, "1.5"),
        ("true", True, "true"),
        ("null", None, "null"),
        ("yes", "yes", "yes"),
        ("", "", ""),
        ('"12"', "12", "12"),
        ("[1, 2", "[1, 2", "[1, 2"),
        ('{"a": [null]}', {"a": [None]}, '{"a": [null]}'),
        ("NaN", "NaN", "NaN"),
        ("größer", "größer", "größer"),
    ]:
        done = run("settings", "set", "lab.x", written, "-d", url)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"lab.x: {json.dumps(value, ensure_ascii=False)}\n"
        assert run("settings", "get", "lab.x", "-d", url).stdout == f"{printed}\n"
        shown = json.loads(run("settings", "get", "lab.x", "--json", "-d", url).stdout)
        assert shown["value"] == value
        assert type(shown["value"]) is type(value)


def test_set_takes_a_description_and_a_category(run: Run, url: str) -> None:
    options = ["--description", "who to call", "--category", "people", "-d", url]
    run("settings", "set", "lab.operator", "Ada", *options)
    run("settings", "set", "lab.operator", "Eve", "-d", url)
    shown = json.loads(run("settings", "get", "lab.operator", "--json", "-d", url).stdout)
    assert (shown["value"], shown["description"], shown["category"]) == (
        "Eve",
        "who to call",
        "people",
    )


def test_an_undeclared_key_of_a_declared_category_needs_new(run: Run, url: str) -> None:
    assert run("settings", "set", "report.port", "1", "-d", url).returncode == 0
    assert run("settings", "set", "server.prot", "1", "--new", "-d", url).returncode == 0
    assert run("settings", "set", "server.prot", "2", "-d", url).stdout == "server.prot: 2\n"


def test_a_secret_of_an_installed_component_is_hidden(
    run: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registry", registry._registry)
    (tmp_path / "probe_component.py").write_text(
        "import cardlink_sql\n"
        "cardlink_sql.declare_setting('probe.token', str, description='Token', secret=True)\n"
    )
    metadata = tmp_path / "probe_component-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-component\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[cardlink_sql.settings]\nx = probe_component\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "probe_component", raising=False)

    done = run("settings", "set", "probe.token", "hunter2", "-d", url)
    assert done.stdout == "probe.token: ***\n"
    for command, asked in (
        (["settings", "list"], "--show-secrets"),
        (["settings", "list", "--json"], "--show-secrets"),
        (["settings", "get", "probe.token"], "--show-secrets"),
        (["settings", "export"], "--show-secrets"),
        (["export", "--tables", "settings"], "--include-secrets"),
    ):
        hidden = run(*command, "-d", url)
        assert (hidden.returncode, "hunter2" in hidden.stdout) == (0, False), command
        assert "hunter2" in run(*command, asked, "-d", url).stdout, command
    monkeypatch.delitem(sys.modules, "probe_component")


def test_a_stored_setting_is_removed(run: Run, url: str, manager: DatabaseManager) -> None:
    for key, is_declared in (("server.port", True), ("lab.x", False)):
        run("settings", "set", key, "1", "-d", url)
        refused = run("settings", "remove", key, "-d", url)
        assert (refused.returncode, "add --yes" in refused.stderr) == (1, True)
        done = run("settings", "remove", key, "--yes", "-d", url)
        assert (done.returncode, done.stdout) == (0, f"Removed {key}\n"), done.stderr
        assert run("settings", "get", key, "-d", url).returncode == (0 if is_declared else 1)
        again = run("settings", "remove", key, "--yes", "-d", url)
        assert (again.returncode, f"no setting '{key}' is stored" in again.stderr) == (1, True)
    assert dump(manager)["settings"] == []


def test_export_and_import_carry_settings_over(
    run: Run, url: str, manager: DatabaseManager, tmp_path: Path
) -> None:
    run("settings", "set", "server.port", "9443", "-d", url)
    run("settings", "set", "lab.x", '{"a": 1}', "--category", "people", "-d", url)
    before = dump(manager)
    file = tmp_path / "settings.yaml"
    exported = run("settings", "export", "--output", str(file), "-d", url)
    assert (exported.returncode, exported.stdout) == (0, "")
    assert file.read_text("utf-8") == run("settings", "export", "-d", url).stdout
    assert yaml.safe_load(file.read_text("utf-8"))["server.port"] == 9443

    file.write_text(file.read_text("utf-8").replace("9443", "10443") + "lab.new: on\n", "utf-8")
    tried = run("settings", "import", str(file), "--dry-run", "-d", url)
    assert "1 created, 1 updated, 1 unchanged by a dry run: nothing was written." in tried.stdout
    assert dump(manager) == before
    done = run("settings", "import", str(file), "-d", url)
    assert done.stdout.splitlines() == [
        "created  lab.new",
        "updated  server.port",
        "1 created, 1 updated, 1 unchanged.",
    ]
    assert run("settings", "get", "lab.new", "-d", url).stdout == "true\n"
    again = json.loads(run("settings", "import", str(file), "--json", "-d", url).stdout)
    assert again == {
        "created": [],
        "updated": [],
        "unchanged": ["lab.x", "server.port", "lab.new"],
        "dry_run": False,
    }


def test_a_file_that_is_not_utf_8_is_refused(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"lab.x: \xff")
    done = run("settings", "import", "bad.yaml", "-d", url)
    assert done.returncode == 1
    assert "bad.yaml:1: not UTF-8" in done.stderr.splitlines()[0]


def test_reset_asks_and_gives_the_defaults_again(
    run: Run, url: str, manager: DatabaseManager
) -> None:
    assert "Nothing to reset" in run("settings", "reset", "-d", url).stdout
    for key in ("server.port", "metrics.port", "lab.x"):
        run("settings", "set", key, "1", "-d", url)
    before = dump(manager)
    refused = run("settings", "reset", "-d", url)
    assert refused.returncode == 1
    assert "add --yes" in refused.stderr
    assert dump(manager) == before
    done = run("settings", "reset", "--category", "server", "--yes", "-d", url)
    assert done.stdout == "server.port: 8443\n"
    assert run("settings", "reset", "--yes", "-d", url).stdout == "metrics.port: 9090\n"
    assert run("settings", "get", "lab.x", "-d", url).stdout == "1\n"


def test_reset_asks_on_a_terminal_and_takes_no_for_an_answer(run: Run, url: str) -> None:
    run("settings", "set", "server.port", "1", "-d", url)
    controller, terminal = pty.openpty()
    try:
        os.write(controller, b"n\n")
        done = subprocess.run(
            [COMMAND, "settings", "reset", "-d", url],
            stdin=terminal, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == 1
    assert "Reset server.port?" in done.stderr
    assert done.stdout.strip() == "Nothing was changed."
    assert run("settings", "get", "server.port", "-d", url).stdout == "1\n"
