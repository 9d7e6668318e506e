"""JSON documents and lists on stdout, for ``--json``."""

import json
import re
from collections.abc import Iterable
from typing import Any

import typer

from cardlink_sql.cli.shared.output import CONTROLS, output


def print_json(value: Any) -> None:
    """Print a JSON document, the output of ``--json``."""
    typer.echo(_json(value))


def print_json_list(values: Iterable[Any]) -> None:
    """Print a JSON list, item by item: a list of any length takes little memory."""
    separator = "[\n"
    for value in values:
        typer.echo(separator + _indented(value), nl=False)
        separator = ",\n"
    typer.echo("[]" if separator == "[\n" else "\n]")


def print_json_with_list(head: dict[str, Any], name: str, values: Iterable[Any]) -> None:
    """Print a JSON object whose last member is a list, which is printed item by item."""
    typer.echo(f"{_json(head)[:-2]},\n  {json.dumps(name)}: [", nl=False)
    separator = "\n"
    for value in values:
        typer.echo(separator + _indented(value, 4), nl=False)
        separator = ",\n"
    typer.echo("]\n}" if separator == "\n" else "\n  ]\n}")


def _indented(value: Any, by: int = 2) -> str:
    blanks = " " * by
    return blanks + _json(value).replace("\n", f"\n{blanks}")


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=not output.is_unicode)
    # The line breaks between the members are outside of strings.
    return "\n".join(CONTROLS.sub(_json_escaped, line) for line in text.split("\n"))


def _json_escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
