"""Writes the help of every command to stdout, as Markdown."""

from collections.abc import Iterator
from typing import Any

import typer.main
from typer.testing import CliRunner

from cardlink_sql.cli.commands import app


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command, groups before what is in them."""
    command = command or typer.main.get_command(app)
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def help_of(path: tuple[str, ...]) -> str:
    """Return the output of ``cardlink-db PATH --help`` at 80 columns."""
    environment = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="cardlink-db", env=environment)
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def rendered() -> str:
    """Return the reference of the command line: the help of every command."""
    return "# Command line\n\n" + "\n".join(
        f"## {' '.join(('cardlink-db', *path))}\n\n```text\n{help_of(path)}\n```\n"
        for path in commands()
    )


if __name__ == "__main__":
    print(rendered(), end="")
