"""The tables as a file has them: under their own names, in an order where references come first.

A row of a file has the columns of its table, but for a card's ``psk_key_encrypted``: where the
file holds keys, ``psk_key`` replaces it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Table

from cardlink_sql.errors import ValidationError
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.tests import TestGateway

STORED_KEY: Final = "psk_key_encrypted"
PSK_KEY: Final = "psk_key"


@dataclass(frozen=True, eq=False)
class Shape:
    """One table of a file.

    Args:
        gateway: the table's own. Its name is what people call the table (``cards``); the
            table's name is that of the list in the file (``card_profiles``); the defaults of its
            record are those of fields that a file leaves out.
        tied: fields that belong to another one: a merge fills them only where that one is equal.
        identifying: fields that identify the row, so that their default does not serve.
    """

    gateway: type[Gateway[Any, Any]]
    tied: Mapping[str, str] = field(default_factory=dict)
    identifying: frozenset[str] = frozenset()

    @property
    def word(self) -> str:
        """Return the name of the table for people, and of its gateway."""
        return self.gateway.name

    @property
    def table(self) -> Table:
        """Return the table."""
        return self.gateway.table

    @property
    def record(self) -> type[Any]:
        """Return the record of the gateway."""
        return self.gateway.record

    @property
    def key(self) -> str:
        """Return the primary key."""
        return self.gateway.key

    @cached_property
    def name(self) -> str:
        """Return the table's name, in the database and in a file."""
        return str(self.table.name)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the table, in its order."""
        return tuple(str(column.name) for column in self.table.columns)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Return the columns that every file has."""
        return tuple(name for name in self.columns if name != STORED_KEY)

    @cached_property
    def references(self) -> Mapping[str, str]:
        """Return the foreign keys: a field, and the name of the table that it refers to."""
        return {
            str(constraint.column_keys[0]): str(constraint.referred_table.name)
            for constraint in self.table.foreign_key_constraints
        }

    @cached_property
    def required(self) -> frozenset[str]:
        """Return the fields that no row can do without."""
        return self.identifying | frozenset(
            spec.name
            for spec in fields(self.record)
            if spec.default is MISSING and spec.default_factory is MISSING
        )

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Return the values of a new row where the file says nothing, but for its times."""
        return {
            spec.name: spec.default
            for spec in fields(self.record)
            if spec.default is not MISSING and spec.name in self.columns
        }


def _of_status(*names: str) -> Mapping[str, str]:
    return dict.fromkeys(names, "status")


SHAPES: Final = (
    Shape(DeviceGateway),
    Shape(CardGateway, {STORED_KEY: "psk_identity"}),
    Shape(
        SessionGateway,
        _of_status("started_at", "ended_at", "duration_ms", "error_code", "error_message"),
    ),
    Shape(LogGateway, identifying=frozenset({"timestamp"})),
    Shape(TestGateway, _of_status("started_at", "ended_at", "duration_ms", "error_message")),
    Shape(SettingGateway),
)
BY_WORD: Final[Mapping[str, Shape]] = {shape.word: shape for shape in SHAPES}
BY_NAME: Final[Mapping[str, Shape]] = {shape.name: shape for shape in SHAPES}


def shapes_of(words: list[str] | tuple[str, ...]) -> tuple[Shape, ...]:
    """Return the named tables, in the order of a file.

    Args:
        words: such as ``cards``; the tables' own names will do, too.

    Raises:
        ValidationError: there is no such table, or none is named.
    """
    chosen = set()
    for word in words:
        shape = BY_WORD.get(word) or BY_NAME.get(word)
        if shape is None:
            raise ValidationError(f"{word!r} is none of: {', '.join(BY_WORD)}", "tables")
        chosen.add(shape)
    if not chosen:
        raise ValidationError("no table is named", "tables", f"there are: {', '.join(BY_WORD)}")
    return tuple(shape for shape in SHAPES if shape in chosen)
