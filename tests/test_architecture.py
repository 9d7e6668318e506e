"""Imports point one way: which room of the package may import which, and no circles."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cardlink_sql

PACKAGE = Path(cardlink_sql.__file__).parent

BASE = {"errors", "dialect"}
# Room: what it may import besides BASE and itself. A line may name what the lines above it do.
LAYERS: dict[str, set[str]] = {
    **{room: set() for room in BASE},
    "config": set(),
    "model": set(),
    "queries": set(),
    "formats": {"model"},
    "database": {"config", "model", "queries"},
    "schema": {"config", "model", "queries", "database"},
    "outbox": {"model", "queries", "database"},
    "gateways": {"model", "queries", "formats", "database"},
    "unit_of_work": {"model", "queries", "database", "outbox", "gateways"},
}
DOORS = {*LAYERS, "manager"}
LAYERS |= {
    "manager": DOORS - {"manager", "formats"},
    "live": {"model", "database", "manager", "unit_of_work"},
    "aio": DOORS | {"live"},
    "operations": DOORS,
    "transfer": DOORS,
    "review": DOORS - {"unit_of_work"},
    "cli": DOORS | {"operations", "transfer", "review"},
}

STARTS = """
import sys
from cardlink_sql import DatabaseManager, DatabaseConfig, UnitOfWork
UnitOfWork(DatabaseManager(DatabaseConfig("sqlite://")))
names = [name for name in sys.modules if name.partition(".")[0] == "cardlink_sql"]
print(*names)
"""


def modules() -> dict[str, Path]:
    """The package's files by module."""
    found = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = file
    return found


MODULES = modules()


def room(module: str) -> str:
    """A folder or a module at the top of the package; the package itself is not a room."""
    return module.partition("cardlink_sql")[2].strip(".").partition(".")[0]


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, at its top, inside functions or only for mypy."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cardlink_sql"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.startswith("cardlink_sql"))


def test_every_room_is_in_the_table() -> None:
    rooms = {room(module) for module in MODULES} - {"", "guides"}
    assert rooms == set(LAYERS)
    assert len(rooms) <= 20


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_room_imports_what_the_table_allows(name: str) -> None:
    allowed = {name, *BASE, *LAYERS[name]}
    wrong = [
        f"{module} imports {imported}"
        for module, file in MODULES.items()
        if room(module) == name
        for imported in imports(file)
        if room(imported) not in allowed
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: {imported for imported in imports(file) if not module.startswith(imported)}
        for module, file in MODULES.items()
        if module != "cardlink_sql"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_process_that_uses_the_doors_loads_no_more_than_it_needs() -> None:
    started = subprocess.run(
        [sys.executable, "-c", STARTS], capture_output=True, text=True, check=True
    )
    loaded = started.stdout.split()
    lines = sum(len(MODULES[name].read_text("utf-8").splitlines()) for name in loaded)
    assert not {room(name) for name in loaded} & {"review", "cli", "transfer", "schema"}
    assert len(loaded) <= 35, sorted(loaded)
    assert lines <= 7_500


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    longer = {
        name.removeprefix("cardlink_sql.")
        for name, file in MODULES.items()
        if len(file.read_text("utf-8").splitlines()) > 400 and room(name) != "guides"
    }
    assert not longer
