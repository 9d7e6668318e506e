"""From a driver's row to a record, by a function that is made once for each record type.

A row's columns have the order of the record's fields (a test holds every query to it), so
one expression does it: ``Device(row[0], DeviceType_(row[1]), …)``. Compiling that expression,
as ``dataclasses`` does for ``__init__``, is what keeps a read close to the bare driver:
looking each column up by name costs more than the read itself.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from sqlalchemy import Table

from cardlink_sql.database.backend import backend_of
from cardlink_sql.dialect import Dialect
from cardlink_sql.model.json_value import JSONValue
from cardlink_sql.queries import Row

R = TypeVar("R")
# By query, its result where that is not the gateway's record: another record, every column of
# a table, or its columns with their types.
Gives = Mapping[str, type[Any] | Table | dict[str, Any]]
JSON_TYPES = frozenset(get_args(JSONValue))


def reader(record: type[R], dialect: Dialect, *, is_written: bool = False) -> Callable[[Row], R]:
    """Return what turns a row of the dialect's driver into ``record``.

    ``is_written``: the row holds values as they are bound, in place of what the driver returns.
    """
    made: Callable[[Row], R] = _compiled(record, dialect, is_written)  # type: ignore[arg-type]
    return made


@cache
def _compiled(record: type[Any], dialect: Dialect, is_written: bool) -> Callable[[Row], Any]:  # noqa: FBT001
    hints = get_type_hints(record)
    backend = backend_of(dialect)
    special = backend.bound_converters if is_written else backend.row_converters
    converters: dict[str, Any] = {"record": record}
    arguments = []
    for position, spec in enumerate(fields(record)):
        kinds, optional = split_hint(hints[spec.name])
        converter = _converter(kinds, special)
        argument = f"row[{position}]"
        if converter is not None:
            converters[spec.name] = converter
            call = f"{spec.name}({argument})"
            argument = f"None if {argument} is None else {call}" if optional else call
        arguments.append(argument)
    # The source is made of field names and positions only.
    source = f"lambda row: record({', '.join(arguments)})"
    made: Callable[[Row], Any] = eval(source, converters)  # noqa: S307
    return made


def field_names(record: type[Any]) -> tuple[str, ...]:
    """Return the fields of a record, which are the columns of the rows that fill it."""
    return _field_names(record)  # type: ignore[arg-type]


@cache
def _field_names(record: type[Any]) -> tuple[str, ...]:
    return tuple(spec.name for spec in fields(record))


def columns_of(record: type[Any], **other: Any) -> dict[str, Any]:
    """Return the columns that fill a record, each with the type of its field.

    Args:
        record: the record.
        other: by column, the type that a row has there and the gateway turns into the field's.
    """
    hints = get_type_hints(record)
    return {spec.name: hints[spec.name] for spec in fields(record)} | other


def split_hint(hint: Any) -> tuple[frozenset[Any], bool]:
    """Return the types of a field's hint without ``None``, and whether it may be ``None``."""
    if hint is Any:
        return JSON_TYPES, True  # any JSON value: what another program left NULL is null, too
    if get_origin(hint) in (Union, types.UnionType):
        kinds = frozenset(get_args(hint))
        return kinds - {type(None)}, type(None) in kinds
    return frozenset({hint}), False


def _converter(
    kinds: frozenset[Any], special: Mapping[Any, Callable[[Any], Any]]
) -> Callable[[Any], Any] | None:
    """Return what converts a value; ``None`` where it is right as it comes."""
    (kind,) = [dict] if kinds == JSON_TYPES else kinds
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {member.value: member for member in kind}.__getitem__
    return special.get(kind) or _CONVERTERS.get(kind)


# A day is text in every dialect's query.
_CONVERTERS: Final[dict[Any, Callable[[Any], Any]]] = {
    float: float,
    date: date.fromisoformat,
}
