"""Queries of another release on this one's schema: old servers go on during an upgrade."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import load_library
from cardlink_sql.review.check import compatible
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.release import find_release
from tests.conftest import Run, on_sqlite
from tests.test_review_check import describing

ROOT = Path(__file__).parent.parent

OLD = """\
-- name: find_old :many
-- What an older release asked.
SELECT id
FROM devices
WHERE 1 = 1
  AND colour = :colour                         -- when: colour
ORDER BY id;

-- name: find_gone :many
-- A table that it had.
SELECT id FROM phones ORDER BY id;
"""


def release_with(folder: Path, queries: str) -> Path:
    """Another release: ours, and a file of queries that it had."""
    release = folder / "v0.0.9"
    shutil.copytree(ROOT / "sql", release / "sql")
    (release / "sql" / "common" / "phones.sql").write_text(queries, encoding="utf-8")
    return release


def checked(release: str, manager: DatabaseManager) -> list[Finding]:
    """The faults of a release on a database of this one's schema."""
    found = find_release(release)
    with describing(manager) as asked:
        return compatible(found.library(manager.dialect), asked, found.name).faults


def last_release() -> str | None:
    """The newest tag before this commit; without one there is no release yet."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return None
    # Of the commits before this one: a release is compatible with itself.
    newest = ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"]
    done = subprocess.run(newest, cwd=ROOT, capture_output=True, check=False, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def test_the_last_release_goes_on_with_this_schema(manager: DatabaseManager) -> None:
    release = last_release()
    if release is None:
        return  # There is no release yet.
    assert checked(release, manager) == []


def test_what_an_old_server_sends_and_is_refused_is_a_fault(
    manager: DatabaseManager, tmp_path: Path
) -> None:
    faults = checked(str(release_with(tmp_path, OLD)), manager)
    assert [(fault.check, fault.query, fault.dialect) for fault in faults] == [
        ("compatible", "phones.find_gone", manager.dialect),
        ("compatible", "phones.find_old", manager.dialect),
    ]
    assert [fault.where.split(":")[0] for fault in faults] == ["v0.0.9/sql/common/phones.sql"] * 2
    assert "colour" in faults[1].what
    assert "one release later" in faults[1].remedy


def test_a_release_is_a_folder_a_checkout_or_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "cardlink_sql-0.0.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (ROOT / "sql").rglob("*.sql"):
            archive.write(file, f"cardlink_sql/sql/{file.relative_to(ROOT / 'sql')}")
    ours = [query.title for query in load_library(Dialect.MYSQL).all()]
    for release in (ROOT, ROOT / "sql", wheel):
        read = find_release(str(release)).library(Dialect.MYSQL)
        assert [query.title for query in read.all()] == ours


@on_sqlite
def test_the_command(
    manager: DatabaseManager, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = ("--url", manager.config.url)
    monkeypatch.chdir(ROOT)
    done = run("schema", "compatible", ".", *url)
    assert done.returncode == 0
    count = len(load_library(manager.dialect).all()) - done.stderr.count("is not checked")
    assert done.stdout.startswith(f"{count} queries of {ROOT.name} ")
    release = str(release_with(tmp_path, OLD))
    done = run("schema", "compatible", release, *url)
    assert done.returncode == 1
    assert "phones.find_old" in done.stdout
    done = run("schema", "compatible", release, *url, "--json")
    assert done.returncode == 1
    queries = {fault["query"] for fault in json.loads(done.stdout)["faults"]}
    assert queries == {"phones.find_old", "phones.find_gone"}


def test_a_release_without_queries_is_wrong_usage(tmp_path: Path, run: Run) -> None:
    for release, said in ((tmp_path, "holds no sql/"), (tmp_path / "none", "nor a git revision")):
        done = run("schema", "compatible", str(release), "--dialect", "sqlite")
        assert done.returncode == 2
        assert said in done.stderr
