"""Helpers of the commands that add, edit and remove records."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.output import output, visible
from cardlink_sql.errors import ValidationError
from cardlink_sql.model.json_value import Record

Notes = Annotated[str | None, typer.Option(metavar="TEXT", help="Anything worth keeping.")]


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields whose option was given; an empty text clears its field."""
    return {
        name: None if value == "" else value for name, value in fields.items() if value is not None
    }


def refuse_no_fields(fields: Mapping[str, Any]) -> None:
    """Refuse an edit without a field.

    Raises:
        typer.BadParameter: there is none.
    """
    if not fields:
        raise typer.BadParameter("name a field to change")


def json_value(option: str, text: str | None) -> Any:
    """Return the value of an option that takes JSON; ``""`` stays, and clears the field.

    Raises:
        typer.BadParameter: the text is not JSON.
    """
    if not text:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from None


@contextmanager
def fields_of(options: Mapping[str, str]) -> Iterator[None]:
    """Name the option of a field whose value the gateway refuses; the exit code is 2.

    Args:
        options: the options that are not named as their field is.
    """
    try:
        yield
    except ValidationError as error:
        field = (error.where or "").rpartition(".")[2]
        name = options.get(field, f"--{field.replace('_', '-')}")
        raise typer.BadParameter(error.what, param_hint=name) from None


def print_changed(what: str, key: str, record: Record, *, as_json: bool) -> None:
    """Print what was done to a record, or the record as JSON."""
    if as_json:
        print_json(record.to_dict())
    else:
        output.print(f"{what} {visible(key)}")
