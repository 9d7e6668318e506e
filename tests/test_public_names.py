"""The public names, which their modules provide at the first use."""

import ast
import subprocess
import sys
from pathlib import Path

import cardlink_sql

SOURCE = Path(cardlink_sql.__file__).read_text("utf-8")

PRINT_MODULES = """
import sys
before = set(sys.modules)
import {name}
print(*sorted(set(sys.modules) - before))
"""


def imports_for_readers() -> dict[str, str]:
    """What mypy and editors read: the module of each name that is imported below TYPE_CHECKING."""
    (block,) = (
        node
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imported = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.name: (node.module or "").removeprefix("cardlink_sql.")
        for node in imported
        if node.module != "typing"
        for alias in node.names
    }


def modules_imported_by(name: str) -> list[str]:
    """What importing a module imports in a new process, but for what Python itself has."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES.format(name=name)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [one for one in done.stdout.split() if one.partition(".")[0] not in ("importlib",)]


def test_the_names_are_listed_alike() -> None:
    assert imports_for_readers() == cardlink_sql._MODULE_OF
    assert cardlink_sql.__all__ == sorted(cardlink_sql._MODULE_OF)
    assert set(cardlink_sql.__all__) <= set(dir(cardlink_sql))


def test_every_name_is_there() -> None:
    names: dict[str, object] = {}
    exec("from cardlink_sql import *", names)
    for name, module in cardlink_sql._MODULE_OF.items():
        assert names[name] is getattr(sys.modules[f"cardlink_sql.{module}"], name)


def test_another_name_is_an_attribute_error() -> None:
    assert not hasattr(cardlink_sql, "no_such_name")


def test_the_command_starts_with_next_to_nothing() -> None:
    imported = modules_imported_by("cardlink_sql.cli")
    assert [name for name in imported if name != "warnings"] == ["cardlink_sql", "cardlink_sql.cli"]


def test_a_look_up_imports_no_dialect_but_its_own() -> None:
    imported = modules_imported_by("cardlink_sql.gateways.cards, sqlalchemy.dialects.sqlite")
    dialects = [name for name in imported if name.startswith("sqlalchemy.dialects.")]

    assert dialects
    assert not [name for name in dialects if name.split(".")[2] in ("mysql", "postgresql")]
