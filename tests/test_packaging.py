"""What is built and installed: the SQL files travel with the package, the drivers do not."""

import json
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent

# What a wheel does where only its requirements are installed.
TOUR = """
import contextlib, io, json, sys
sys.path[:0] = sys.argv[1:]
import cardlink_sql
from cardlink_sql import DatabaseConfig
from cardlink_sql.cli import main
from cardlink_sql.database.engine import make_engine
from cardlink_sql.errors import ConnectionError
from cardlink_sql.queries.resources import folder

def files_in(place, path):
    for entry in place.iterdir():
        inner = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from files_in(entry, inner)
        else:
            yield inner, entry.read_text(encoding="utf-8")

def refusal(url):
    try:
        make_engine(DatabaseConfig(url))
    except ConnectionError as error:
        return str(error)

def ended(arguments):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments.split())
        except SystemExit as end:
            return int(end.code), said.getvalue()

commands = ("schema lint", "migrate --dry-run", "sql report -o report")
print(json.dumps({
    "package": cardlink_sql.__file__,
    "files": {**dict(files_in(folder("sql"), "sql")),
              **dict(files_in(folder("migrations"), "migrations"))},
    "refusals": [refusal(f"{one}://ann:secret@host/cards") for one in ("postgresql", "mysql")],
    "commands": [ended(command) for command in commands],
}))
"""

WRITE_REPORT = """
import sys
sys.path[:0] = sys.argv[1:]
import cardlink_sql
from cardlink_sql.cli import main

print(cardlink_sql.__file__)
main(["sql", "report", "--output", "report"])
"""


@dataclass(frozen=True)
class Distributions:
    """The two files that a release would publish."""

    sdist: Path
    wheel: Path


def run_python(*arguments: str | Path, cwd: Path | None = None) -> str:
    """What Python prints, deaf to PYTHONPATH and not importing from the current directory."""
    result = subprocess.run(
        [sys.executable, "-I", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The sdist of this tree, and the wheel that is built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run_python("-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(sdist, wheel)


def required_by(distribution: metadata.Distribution) -> dict[str, metadata.Distribution]:
    """The distributions that pip would install for one, without extras."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [distribution]
    while waiting:
        for requirement in map(Requirement, waiting.pop().requires or ()):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and requirement.name not in found:
                found[requirement.name] = metadata.distribution(requirement.name)
                waiting.append(found[requirement.name])
    return found


@pytest.fixture(scope="module")
def installed(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel and links to what it requires, no more."""
    folder = tmp_path_factory.mktemp("installed")
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    run_python(*pip, "--target", folder, distributions.wheel)
    (ours,) = metadata.distributions(path=[str(folder)])
    for distribution in required_by(ours).values():
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (folder / name).symlink_to(str(distribution.locate_file(name)))
    return folder


@pytest.fixture(scope="module")
def tour(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What :data:`TOUR` prints of the installed wheel."""
    empty = tmp_path_factory.mktemp("tour")
    # -S leaves out what else is installed here.
    found: dict[str, Any] = json.loads(run_python("-S", "-c", TOUR, installed, cwd=empty))
    assert list(empty.iterdir()) == []
    return found


@pytest.fixture(scope="module")
def tree() -> dict[str, str]:
    """The files of sql/ and of migrations/, by path, with their text."""
    found = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("sql", "migrations")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    # Without any, the comparisons would compare nothing with nothing.
    assert {name.partition("/")[0] for name in found} == {"sql", "migrations"}
    return found


def test_the_sdist_holds_the_sql_files(distributions: Distributions, tree: dict[str, str]) -> None:
    with tarfile.open(distributions.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}

    assert {name for name in names if name.startswith(("sql/", "migrations/"))} == tree.keys()
    assert "cardlink_sql/py.typed" in names


def test_the_readme_is_the_description_of_the_wheel(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        assert "cardlink_sql/py.typed" in archive.namelist()
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        description = archive.read(name).decode("utf-8").partition("\n\n")[2]

    assert description.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_an_installed_wheel_finds_its_files(
    tour: dict[str, Any], installed: Path, tree: dict[str, str]
) -> None:
    assert Path(tour["package"]).is_relative_to(installed)
    assert tour["files"] == tree


def test_a_driver_that_is_not_installed_is_named_with_the_command(tour: dict[str, Any]) -> None:
    drivers = (("postgresql", "psycopg[binary]"), ("mysql", "pymysql"))
    for refusal, (dialect, wanted) in zip(tour["refusals"], drivers, strict=True):
        assert f"the driver for {dialect} is not installed" in refusal
        assert f"run: pip install '{wanted}'" in refusal
        assert "secret" not in refusal


def test_only_commands_of_review_need_its_extra(tour: dict[str, Any]) -> None:
    assert tour["commands"] == [
        [0, ""],
        [0, ""],
        [
            1,
            "error: this command needs sqlglot, which is not installed\n"
            "hint: run: pip install sqlglot jinja2\n",
        ],
    ]


def test_a_zipped_package_renders_the_report(distributions: Distributions, tmp_path: Path) -> None:
    """The queries, the templates and the style are read without unpacking the wheel."""
    printed = run_python("-c", WRITE_REPORT, distributions.wheel, cwd=tmp_path)

    assert printed.startswith(str(distributions.wheel))
    assert {"index.html", "report.css"} <= {file.name for file in (tmp_path / "report").iterdir()}
