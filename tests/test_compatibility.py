"""Queries of another release on this one's schema: old servers go on during an upgrade."""

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from cardlink_sql.cli import main
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import load_library
from cardlink_sql.review.compatibility import compatible, read_release
from cardlink_sql.review.findings import Finding
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


def checked(release: Path, manager: DatabaseManager) -> list[Finding]:
    """The faults of a release on a database of this one's schema."""
    library = read_release(release, manager.dialect)
    with describing(manager) as asked:
        return compatible(library, asked, release.name).faults


def last_release(folder: Path) -> Path | None:
    """The newest tag before this commit, unpacked; without one there is no release yet."""
    # Of the commits before this one: a release is compatible with itself.
    found = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    if found is None:
        return None
    tag = found.decode().strip()
    archive = git("archive", tag, "sql")
    assert archive is not None, f"{tag} has no sql/"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder / tag, filter="data")
    return folder / tag


def git(*arguments: str) -> bytes | None:
    """What git prints; ``None`` where it fails, or where there is none."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return None
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def test_the_last_release_goes_on_with_this_schema(
    manager: DatabaseManager, tmp_path: Path
) -> None:
    release = last_release(tmp_path)
    if release is None:
        return  # There is no release yet.
    assert checked(release, manager) == []


def test_what_an_old_server_sends_and_is_refused_is_a_fault(
    manager: DatabaseManager, tmp_path: Path
) -> None:
    faults = checked(release_with(tmp_path, OLD), manager)
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
        read = read_release(release, Dialect.MYSQL)
        assert [query.title for query in read.all()] == ours


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "compatible", *arguments])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_command(
    manager: DatabaseManager, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ("--url", manager.config.url)
    code, out, notes = run(capsys, str(ROOT), *url)
    assert code == 0
    count = len(load_library(manager.dialect).all()) - notes.count("is not checked")
    assert out.startswith(f"{count} queries of ")
    release = str(release_with(tmp_path, OLD))
    code, out, _ = run(capsys, release, *url)
    assert code == 1
    assert "phones.find_old" in out
    code, out, _ = run(capsys, release, *url, "--json")
    assert code == 1
    assert {fault["query"] for fault in json.loads(out)["faults"]} == {
        "phones.find_old",
        "phones.find_gone",
    }


def test_a_release_without_queries_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for release in (tmp_path, tmp_path / "none"):
        code, _, err = run(capsys, str(release), "--dialect", "sqlite")
        assert code == 2
        assert "holds no sql/ folder" in err
