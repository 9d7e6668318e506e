"""The contents of a table's canonical DDL."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type, and what follows it in the DDL; ``default`` is an SQL expression."""

    name: str
    type: str
    collation: str | None = None
    is_nullable: bool = True
    default: str | None = None
    numbering: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a unique constraint; ``name`` is ``None`` where the server has none."""

    name: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key with its ON DELETE and ON UPDATE actions; ``None`` is NO ACTION."""

    name: str
    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    on_delete: str | None = None
    on_update: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A check and its condition, in canonical form."""

    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its columns or expressions in order, each with DESC where it descends.

    ``method`` is PostgreSQL's, where it is not a B-tree. An index that is not valid is what a
    CREATE INDEX CONCURRENTLY left that did not end.
    """

    name: str
    parts: tuple[str, ...]
    is_unique: bool = False
    where: str | None = None
    method: str | None = None
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``options`` follow its closing bracket."""

    name: str
    columns: tuple[Column, ...]
    primary_key: Key | None
    unique: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    indexes: tuple[Index, ...] = field(default=())
    options: str | None = None
