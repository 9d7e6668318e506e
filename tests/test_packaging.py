"""What is built and installed: the SQL files travel with the package, the drivers do not."""

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardlink_sql.dialect import Dialect

ROOT = Path(__file__).resolve().parent.parent
DATA_FOLDERS = ("sql", "migrations")

PRINT_FILES = """
import json, sys
sys.path[:0] = sys.argv[1:]
import cardlink_sql
from cardlink_sql.queries.resources import folder

def files_in(place, path):
    for entry in place.iterdir():
        inner = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from files_in(entry, inner)
        else:
            yield inner, entry.read_text(encoding="utf-8")

files = [files_in(folder(name), name) for name in ("sql", "migrations")]
print(json.dumps([cardlink_sql.__file__, *map(dict, files)]))
"""

WRITE_REPORT = """
import sys
sys.path[:0] = sys.argv[1:]
import cardlink_sql
from cardlink_sql.cli import main

print(cardlink_sql.__file__)
main(["sql", "report", "--output", "report"])
"""

PRINT_REFUSAL = """
import sys
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.errors import ConnectionError

try:
    make_engine(DatabaseConfig(sys.argv[1]))
except ConnectionError as error:
    print(error)
"""

RUN_WITHOUT_REVIEW = """
import contextlib, io
from cardlink_sql.cli import main

for arguments in (["schema", "lint"], ["migrate", "--dry-run"], ["sql", "list", "--json"]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
    print(" ".join(arguments), int(code), said.getvalue().replace("\\n", " "))
"""


@dataclass(frozen=True)
class Distributions:
    """The two files that a release would publish."""

    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def interpreter(self) -> str:
        """Its Python."""
        return str(self.folder / "bin" / "python")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The sdist of this tree, and the wheel that is built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run_python(sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT))
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture(scope="module")
def wheel_installed(
    distributions: Distributions, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """An environment that holds the wheel and what it requires, no more."""
    environment = Environment(tmp_path_factory.mktemp("wheel"))
    run_python(sys.executable, "-m", "venv", "--without-pip", str(environment.folder))
    pip = ("-m", "pip", "--python", environment.interpreter, "--disable-pip-version-check")
    what = ("install", "--quiet", "--no-compile", str(distributions.wheel))
    run_python(sys.executable, *pip, *what)
    yield environment
    # Else pytest would keep those of the last three runs.
    shutil.rmtree(environment.folder)


def run_python(interpreter: str, *arguments: str, cwd: Path | None = None) -> str:
    """What Python prints, deaf to PYTHONPATH and not importing from the current directory."""
    result = subprocess.run(
        [interpreter, "-I", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def files_of_the_tree() -> list[dict[str, str]]:
    """The files of sql/ and of migrations/, by path, with their text."""
    return [
        {
            path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        }
        for folder in DATA_FOLDERS
    ]


def found_files(
    environment: Environment, cwd: Path, *path: str
) -> tuple[Path, list[dict[str, str]]]:
    """Where the package was imported from, and the files that it finds in its folders."""
    printed = run_python(environment.interpreter, "-c", PRINT_FILES, *path, cwd=cwd)
    package, *files = json.loads(printed)
    return Path(package).parent, files


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_the_tree_has_sql_files(folder: str) -> None:
    """Without any, the comparisons below would compare nothing with nothing."""
    assert list((ROOT / folder).rglob("*.sql"))


def test_the_sdist_holds_the_sql_files(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}

    assert {name for name in names if name.startswith(("sql/", "migrations/"))} == {
        name for files in files_of_the_tree() for name in files
    }
    assert "cardlink_sql/py.typed" in names


def test_the_wheel_holds_the_sql_files(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        names = set(archive.namelist())

    assert {
        name for name in names if name.startswith(("cardlink_sql/sql/", "cardlink_sql/migrations/"))
    } == {f"cardlink_sql/{name}" for files in files_of_the_tree() for name in files}
    assert "cardlink_sql/py.typed" in names


def test_the_readme_is_the_description_of_the_wheel(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        description = archive.read(metadata).decode("utf-8").partition("\n\n")[2]

    assert description.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_an_installed_wheel_finds_its_files(wheel_installed: Environment, tmp_path: Path) -> None:
    package, files = found_files(wheel_installed, tmp_path)

    assert package.is_relative_to(wheel_installed.folder)
    assert files == files_of_the_tree()


def test_the_editable_install_of_the_tests_finds_the_files_of_the_tree(tmp_path: Path) -> None:
    package, files = found_files(Environment(Path(sys.prefix)), tmp_path)

    assert package == ROOT / "cardlink_sql"
    assert files == files_of_the_tree()


def test_a_zipped_package_finds_its_files(
    distributions: Distributions, wheel_installed: Environment, tmp_path: Path
) -> None:
    package, files = found_files(wheel_installed, tmp_path, str(distributions.wheel))

    assert package == distributions.wheel / "cardlink_sql"
    assert files == files_of_the_tree()


def test_a_zipped_package_renders_the_report(distributions: Distributions, tmp_path: Path) -> None:
    """The templates and the style are in the wheel, and are read without unpacking it."""
    wheel = str(distributions.wheel)

    printed = run_python(sys.executable, "-c", WRITE_REPORT, wheel, cwd=tmp_path)

    assert printed.startswith(wheel)
    assert {"index.html", "report.css"} <= {file.name for file in (tmp_path / "report").iterdir()}


def test_a_report_without_its_extra_names_the_command(
    wheel_installed: Environment, tmp_path: Path
) -> None:
    command = [wheel_installed.interpreter, "-I", "-c", WRITE_REPORT]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "pip install sqlglot jinja2" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL, Dialect.MYSQL], ids=str)
def test_a_driver_that_is_not_installed_is_named_with_the_command(
    dialect: Dialect, wheel_installed: Environment, tmp_path: Path
) -> None:
    url = f"{dialect}://somebody:secret@localhost/cards"

    refusal = run_python(wheel_installed.interpreter, "-c", PRINT_REFUSAL, url, cwd=tmp_path)

    assert f"the driver for {dialect} is not installed" in refusal
    wanted = "pymysql" if dialect is Dialect.MYSQL else "psycopg[binary]"
    assert f"run: pip install '{wanted}'" in refusal
    assert "secret" not in refusal


def test_only_commands_of_review_need_its_extra(
    wheel_installed: Environment, tmp_path: Path
) -> None:
    printed = run_python(wheel_installed.interpreter, "-c", RUN_WITHOUT_REVIEW, cwd=tmp_path)
    assert printed.splitlines() == [
        "schema lint 0 ",
        "migrate --dry-run 0 ",
        "sql list --json 1 error: this command needs sqlglot, which is not installed"
        " hint: run: pip install sqlglot jinja2 ",
    ]
