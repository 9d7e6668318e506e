"""The tables as a file has them: under their own names, in an order where references come first.

A row of a file has the columns of its table, but for a card's ``psk_key_encrypted``: where the
file holds keys, ``psk_key`` replaces it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.model.tables import UTCDateTime

STORED_KEY: Final = "psk_key_encrypted"
PSK_KEY: Final = "psk_key"
_ENDING: Final = ("started_at", "ended_at", "duration_ms", "error_message")


class Shape:
    """One table of a file.

    Attributes:
        gateway: the table's own.
        word: what people call the table (``cards``): the name of its gateway.
        name: the table's name, in the database and in a file (``card_profiles``).
        key: the primary key.
        tied: fields that belong to another one: a merge fills them only where that one is equal.
        columns: those of the table, in its order.
        fields: the columns that every file has.
        times: the columns that hold a time.
        references: the foreign keys: a field, and the name of the table that it refers to.
        required: fields that no row can do without. Fields that identify it are among them.
        defaults: the values of a new row where the file says nothing, but for its times.
    """

    def __init__(
        self,
        gateway: type[Gateway[Any, Any]],
        tied: Mapping[str, str] = MappingProxyType({}),
        identifying: frozenset[str] = frozenset(),
    ) -> None:
        specs = fields(gateway.record)
        self.gateway: Final = gateway
        self.word: Final = gateway.name
        self.table: Final = gateway.table
        self.name: Final = str(gateway.table.name)
        self.key: Final = gateway.key
        self.tied: Final = tied
        self.columns: Final = tuple(str(column.name) for column in gateway.table.columns)
        self.fields: Final = tuple(name for name in self.columns if name != STORED_KEY)
        self.times: Final = frozenset(
            str(column.name)
            for column in gateway.table.columns
            if isinstance(column.type, UTCDateTime)
        )
        self.references: Final = {
            str(constraint.column_keys[0]): str(constraint.referred_table.name)
            for constraint in gateway.table.foreign_key_constraints
        }
        self.required: Final = identifying | {
            spec.name
            for spec in specs
            if spec.default is MISSING and spec.default_factory is MISSING
        }
        self.defaults: Final[Mapping[str, Any]] = {
            spec.name: spec.default
            for spec in specs
            if spec.default is not MISSING and spec.name in self.columns
        }


SHAPES: Final = (
    Shape(DeviceGateway),
    Shape(CardGateway, {STORED_KEY: "psk_identity"}),
    Shape(SessionGateway, dict.fromkeys((*_ENDING, "error_code"), "status")),
    Shape(LogGateway, identifying=frozenset({"timestamp"})),
    Shape(TestGateway, dict.fromkeys(_ENDING, "status")),
    Shape(SettingGateway),
)
BY_WORD: Final[Mapping[str, Shape]] = {shape.word: shape for shape in SHAPES}
BY_NAME: Final[Mapping[str, Shape]] = {shape.name: shape for shape in SHAPES}


def shapes_of(words: list[str] | tuple[str, ...]) -> tuple[Shape, ...]:
    """Return the tables named ``cards`` or ``card_profiles``, in the order of a file."""
    chosen = set()
    for word in words:
        shape = BY_WORD.get(word) or BY_NAME.get(word)
        if shape is None:
            raise ValidationError(f"{word!r} is none of: {', '.join(BY_WORD)}", "tables")
        chosen.add(shape)
    if not chosen:
        raise ValidationError("no table is named", "tables", f"there are: {', '.join(BY_WORD)}")
    return tuple(shape for shape in SHAPES if shape in chosen)
