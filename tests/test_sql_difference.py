"""``cardlink-db sql diff``: this release against another."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.review import lock, release
from cardlink_sql.review.lock import read_lock, write_lock
from tests.conftest import Run

ROOT = Path(__file__).parent.parent


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A release before one that changed something of everything."""
    old = tmp_path / "v0.9"
    shutil.copytree(ROOT / "sql", old / "sql")
    for dialect in Dialect:
        lock = read_lock(dialect)
        queries: dict[str, Any] = lock["queries"]
        del queries["devices.create"]
        queries["devices.find_gone"] = queries["devices.find_by"]
        changed = queries["cards.get_psk_key"]
        changed["hash"] = "0"
        changed["reads"]["card_profiles"] = "iccid, notes"
        queries["logs.count_by_session"]["plan"] = {"with every line in": "another one"}
        for entry in queries.values():
            if "settings" in entry.get("deletes", ""):
                del entry["deletes"]
        del lock["migrations"]["0005_test_tries"]
        lock["migrations"]["0001_initial_schema"] = "another"
        write_lock(old / "sql" / "lock", dialect, lock)
    return old


def test_diff_tells_what_a_change_comes_to(older: Path, run: Run) -> None:
    found = json.loads(run("sql", "diff", str(older), "--json").stdout)
    assert [one["query"] for one in found["new"]] == ["devices.create"]
    assert any(effect.startswith("inserts devices (") for effect in found["new"][0]["effects"])
    assert [one["query"] for one in found["gone"]] == ["devices.find_gone"]
    (changed,) = found["changed"]
    assert changed["query"] == "cards.get_psk_key"
    assert changed["effects"] == [
        "also reads card_profiles (psk_key_encrypted)",
        "no longer reads card_profiles (notes)",
    ]
    plans = [one for one in found["plans"] if one["before"] == ["another one"]]
    assert {one["dialect"] for one in plans} == set(Dialect)
    assert all("ix_comm_logs_session_id_id" in str(one["now"]) for one in plans)
    assert {(r["role"], r["dialect"], r["right"], r["on"]) for r in found["rights"]} == {
        ("app", dialect, "DELETE", "settings") for dialect in ("mysql", "postgresql")
    }
    migrations = {(one["id"], one["what"]) for one in found["migrations"]}
    assert migrations == {("0001_initial_schema", "edited"), ("0005_test_tries", "new")}
    new = next(one for one in found["migrations"] if one["what"] == "new")
    assert all("ALTER TABLE" in sql and locked for sql, locked in new["statements"])


def test_diff_is_printed_in_words_and_as_markdown(older: Path, run: Run) -> None:
    words = run("sql", "diff", str(older)).stdout
    assert words.startswith("Against v0.9: new queries: 1, queries gone: 1, changed queries: 1, ")
    assert "\n  app needs DELETE on settings (postgresql) for settings." in words
    markdown = run("sql", "diff", str(older), "--markdown").stdout
    assert "\n- `logs.count_by_session (mysql: 1, postgresql: 1, sqlite: 1)`\n" in markdown
    assert "another one" in words
    assert "another one" not in markdown
    assert (
        "\n<details open><summary>Queries gone: 1</summary>\n\n- `devices.find_gone`\n" in markdown
    )
    assert "\n  ```sql\n  -- locks: " in markdown


def test_diff_compares_the_internal_statements(older: Path, run: Run) -> None:
    file = older / "sql" / "lock" / "postgresql" / "migrations.json"
    kept = json.loads(file.read_text())
    kept["internal"]["connection.settings"] = "another"
    del kept["internal"]["review.drop_database"]
    file.write_text(json.dumps(kept))
    found = json.loads(run("sql", "diff", str(older), "--json").stdout)["internal"]
    assert {(one["query"], *one["dialects"], *one["effects"]) for one in found} == {
        ("connection.settings", "postgresql", "another text"),
        ("review.drop_database", "postgresql", "new"),
    }
    words = run("sql", "diff", str(older)).stdout
    assert "\n  connection.settings (postgresql)\n    another text" in words


def test_diff_by_a_lock_that_lacks_changes_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "hash_of", lambda query: query.title)
    done = run("sql", "diff", str(ROOT))
    assert done.returncode == 1
    assert "sql/lock/ is the same, but lacks changes" in done.stdout
    assert "scripts/lock" in done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_diff_reads_a_git_revision(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sql", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setattr(release, "folder", tmp_path.joinpath)
    author = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "A release"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    assert run("sql", "diff", "HEAD").stdout == "Against HEAD: the SQL is the same.\n"
    refused = run("sql", "diff", "v1")
    assert refused.returncode == 2
    assert "'v1' is neither a file, a folder nor a git revision" in refused.stderr
