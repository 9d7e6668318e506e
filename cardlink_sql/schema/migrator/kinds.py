"""The kind of change of a migration's statement, and its table.

A small table of patterns, not a parser: a statement that matches none is :attr:`Action.UNKNOWN`,
for which callers assume the strongest lock.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.lexer import BLANK, Kind, tokenize
from cardlink_sql.schema.migrator.actions import Action


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a statement; an ALTER TABLE has one for each of its actions.

    ``table`` is the table that changes, if the statement names it; ``refers_to`` the table
    that a foreign key refers to; ``name`` the index that is created or dropped, the column that is
    dropped or gets a type, or the new name of a renamed table.
    """

    kind: Action
    table: str | None = None
    refers_to: str | None = None
    name: str | None = None


# The patterns read the text of _plain, which is in small letters.
_NAME: Final = r"(?P<table>\S+)"
_INDEX: Final = r"(?P<name>\S+)"
# PostgreSQL names an index itself if the statement does not.
_INDEX_ON: Final = rf"(?:(?!on ){_INDEX} )?on (?:only )?{_NAME}"
_IF: Final = r"(?:if (?:not )?exists )?"
_COLUMN: Final = r"(?:column )?"
_CONSTRAINT: Final = r"add (?:constraint (?!(?:foreign|check|unique|primary|exclude) )\S+ )?"
# Without the word COLUMN, these name something else that is added or dropped.
_NEW_COLUMN: Final = (
    r"add (?:column (?!\()|(?!(?:constraint|partition|period|system|index|key|value|table|\() ))"
)
# MySQL's databases have names of their users' choice.
_DEFAULT_SCHEMA: Final = {
    Dialect.SQLITE: "main",
    Dialect.MYSQL: None,
    Dialect.POSTGRESQL: "public",
}
_REFERENCES: Final = re.compile(r"\breferences (\S+)")

# Tried in this order; each matches at the start of the statement.
_STATEMENTS: Final = (
    (Action.CREATE_TABLE, rf"create table {_IF}{_NAME}(?!.* (?:partition of|inherits) )"),
    (Action.DROP_TABLE, rf"drop table {_IF}{_NAME}"),
    (Action.TRUNCATE, rf"truncate (?:table )?(?:only )?{_NAME}"),
    (Action.RENAME_TABLE, rf"rename table {_NAME} to (?P<name>\S+)$"),
    (
        Action.CREATE_INDEX_CONCURRENTLY,
        rf"create (?:unique )?index concurrently {_IF}{_INDEX_ON}",
    ),
    (Action.CREATE_INDEX, rf"create (?:unique )?index {_IF}{_INDEX_ON}"),
    (Action.CREATE_FULLTEXT_INDEX, rf"create fulltext index {_IF}{_INDEX_ON}"),
    (Action.CREATE_SPATIAL_INDEX, rf"create spatial index {_IF}{_INDEX_ON}"),
    (Action.DROP_INDEX_CONCURRENTLY, rf"drop index concurrently {_IF}{_INDEX}$"),
    (Action.DROP_INDEX, rf"drop index {_IF}{_INDEX} on {_NAME}"),
    (Action.DROP_INDEX, rf"drop index {_IF}{_INDEX}(?: cascade| restrict)?$"),
    (Action.RENAME_INDEX, r"alter index \S+ rename to "),
    (Action.INSERT, rf"insert into {_NAME}"),
    (Action.UPDATE, rf"update (?:only )?(?!or |ignore |low_priority ){_NAME}"),
    (Action.DELETE, rf"delete from (?:only )?{_NAME}"),  # noqa: S608 - a pattern
    (Action.SELECT, r"select "),
    (Action.COMMENT, rf"comment on table {_NAME}"),
    (Action.COMMENT, r"comment on column (?P<table>\S+)\.[^\s.]+ is "),
    (Action.SET, r"set (?!.*\b(?:global|persist|persist_only)\b)|pragma "),
)
_ACTIONS: Final = (
    (Action.ADD_KEY_USING_INDEX, rf"{_CONSTRAINT}(?:unique|primary key) using index"),
    (Action.ADD_FOREIGN_KEY_NOT_VALID, rf"{_CONSTRAINT}foreign key .* not valid"),
    (Action.ADD_FOREIGN_KEY, rf"{_CONSTRAINT}foreign key"),
    (Action.ADD_CHECK_NOT_VALID, rf"{_CONSTRAINT}check .* not valid"),
    (Action.ADD_CHECK, rf"{_CONSTRAINT}check\b"),
    (Action.ADD_PRIMARY_KEY, rf"{_CONSTRAINT}primary key"),
    (Action.ADD_UNIQUE, rf"{_CONSTRAINT}unique\b"),
    (Action.ADD_EXCLUSION, rf"{_CONSTRAINT}exclude\b"),
    (Action.CREATE_FULLTEXT_INDEX, r"add fulltext\b"),
    (Action.CREATE_SPATIAL_INDEX, r"add spatial\b"),
    (Action.CREATE_INDEX, r"add (?:index|key)\b(?: (?P<name>\w+))?"),
    (
        Action.ADD_COMPUTED_COLUMN,
        rf"{_NEW_COLUMN}.* (?:generated|serial|bigserial|auto_increment)\b",
    ),
    # now() is one value for the whole statement; any other function may return a new one per row.
    (
        Action.ADD_COMPUTED_COLUMN,
        rf"{_NEW_COLUMN}.* default (?!now |current_timestamp )\(?\s?[\w.]+ \(",
    ),
    (Action.ADD_REQUIRED_COLUMN, rf"{_NEW_COLUMN}(?!.* default\b).* not null\b"),
    (Action.ADD_CHECKED_COLUMN, rf"{_NEW_COLUMN}.* (?:unique|primary key|check)\b"),
    (Action.ADD_COLUMN, rf"{_NEW_COLUMN}"),
    (Action.VALIDATE, r"validate constraint"),
    (Action.DROP_FOREIGN_KEY, r"drop foreign key"),
    (Action.DROP_FOREIGN_KEY, rf"drop constraint {_IF}fk_"),
    (Action.DROP_CONSTRAINT, r"drop (?:constraint|check)\b"),
    (Action.DROP_INDEX, rf"drop (?:index|key)\b(?: {_IF}{_INDEX})?"),
    (Action.UNKNOWN, r"drop (?:primary key|partition|period|system)\b"),
    (Action.DROP_COLUMN, rf"drop {_COLUMN}{_IF}(?P<name>\S+)"),
    (Action.CHANGE_TYPE, rf"alter {_COLUMN}(?P<name>\S+) (?:set data )?type\b|modify\b|change\b"),
    (Action.CHANGE_DEFAULT, rf"alter {_COLUMN}\S+ (?:set|drop) default"),
    (Action.SET_NOT_NULL, rf"alter {_COLUMN}\S+ set not null"),
    (Action.DROP_NOT_NULL, rf"alter {_COLUMN}\S+ drop not null"),
    (Action.RENAME_CONSTRAINT, r"rename constraint"),
    (Action.RENAME_INDEX, r"rename (?:index|key)\b"),
    (Action.RENAME_COLUMN, rf"rename {_COLUMN}(?!to )\S+ to "),
    (Action.RENAME_TABLE, r"rename (?:to |as |= )?(?P<name>\S+)$"),
)
_ALTER_TABLE: Final = re.compile(rf"alter table {_IF}(?:only )?{_NAME} (?P<actions>.*)")
# MySQL refuses the statement where it would lock more.
_ONLINE: Final = re.compile(r"(?:algorithm|lock)\b")


# In the plain text of CREATE TABLE, ADD COLUMN and ALTER COLUMN.
_LENGTH: Final = re.compile(
    r"(?P<column>\w+) (?:(?:set data )?type )?(?:varchar|character varying) \( (?P<length>\d+) \)"
)


_FOREIGN_KEY: Final = re.compile(
    rf"(?:.*\bforeign key \( (?P<columns>[^)]+) \)|(?:add )?{_COLUMN}{_IF}(?P<column>\w+) .*)"
    r" ?\breferences (?P<other>\S+)(?: \( (?P<referred>[^)]+) \))?"
)


# MySQL's tables are made with their indexes. After the type of a column named key comes a number
# or a string.
_INLINE_INDEX: Final = re.compile(r"[(,] (?:index|key) (\w+) \( (?!['\d])")


Lengths = dict[tuple[str, str], int]


class KnownSchema:
    """The schema that statements make, as far as the locks of later ones depend on it.

    Attributes:
        names: the table of each index, and "" for each table.
        lengths: the length of each VARCHAR, by table and column.
        other_ends: the tables at the other ends of each column's foreign keys, by table and
            column. A key that names a table without its columns counts for all of them: "".
    """

    def __init__(self, dialect: Dialect, statements: Iterable[str]) -> None:
        self._dialect = dialect
        self.names: dict[str, str] = {}
        self.lengths: Lengths = {}
        self.other_ends: dict[tuple[str, str], set[str]] = {}
        for statement in statements:
            self.read(statement)

    def read(self, statement: str) -> list[Change]:
        """Return a statement's changes in view of the earlier ones, and follow them."""
        text = _plain(statement, self._dialect)
        changes = [
            replace(change, table=change.table or self.names.get(change.name or ""))
            for change in changes_of(statement, self._dialect)
        ]
        table = changes[0].table or ""
        lengths = {(table, one["column"]): int(one["length"]) for one in _LENGTH.finditer(text)}
        if self._dialect is Dialect.POSTGRESQL:
            changes = self._lengthened(changes, lengths)
        self.lengths |= lengths
        for change in changes:
            self._follow(change)
        if changes[0].kind is Action.CREATE_TABLE and self._dialect is Dialect.MYSQL:
            self.names |= dict.fromkeys(_INLINE_INDEX.findall(text), table)
        if table:
            self._follow_foreign_keys(table, text)
        return changes

    def _lengthened(self, changes: list[Change], lengths: Lengths) -> list[Change]:
        """Return the changes of types as such of VARCHARs to longer ones, if they all are."""
        known = lengths.keys() & self.lengths.keys()
        types = [change for change in changes if change.kind is Action.CHANGE_TYPE]
        if len(types) != len(known) or any(lengths[one] < self.lengths[one] for one in known):
            return changes
        return [replace(one, kind=Action.LENGTHEN) if one in types else one for one in changes]

    def _follow(self, change: Change) -> None:
        table, name = change.table or "", change.name or ""
        if change.kind is Action.CREATE_TABLE:
            self.names[table] = ""
        elif change.kind is Action.DROP_TABLE:
            self.names = {one: of for one, of in self.names.items() if table not in (one, of)}
        elif change.kind is Action.RENAME_TABLE:
            self.names.pop(table, None)
            moved = [one for one, of in self.names.items() if of == table]
            self.names |= {**dict.fromkeys(moved, name), name: ""}
        elif change.kind in (Action.CREATE_INDEX, Action.CREATE_INDEX_CONCURRENTLY) and name:
            self.names[name] = table
        elif change.kind in (Action.DROP_INDEX, Action.DROP_INDEX_CONCURRENTLY):
            self.names.pop(name, None)

    def _follow_foreign_keys(self, table: str, text: str) -> None:
        altered = _ALTER_TABLE.fullmatch(text)
        body = altered["actions"] if altered else text.partition(" ( ")[2]
        for found in filter(None, map(_FOREIGN_KEY.match, _split(body))):
            other, referred = found["other"], found["referred"] or ""
            columns = (found["columns"] or found["column"]).split(" , ")
            ends = [((table, column), other) for column in columns]
            ends += [((other, column), table) for column in referred.split(" , ")]
            for column, end in ends:
                self.other_ends.setdefault(column, set()).add(end)


def changes_of(statement: str, dialect: Dialect) -> list[Change]:
    """Return the changes that a statement makes; at least one, unknown in another schema."""
    return [
        replace(change, kind=Action.UNKNOWN)
        if "." in f"{change.table} {change.refers_to}"
        else change
        for change in _read(_plain(statement, dialect))
    ]


def has_no_where(statement: str, dialect: Dialect) -> bool:
    """Return whether a statement has no WHERE, except in what is within brackets."""
    depth = 0
    for word in _plain(statement, dialect).split(" "):
        depth += (word == "(") - (word == ")")
        if not depth and word == "where":
            return False
    return True


def _read(text: str) -> list[Change]:
    if altered := _ALTER_TABLE.fullmatch(text):
        actions = [one for one in _split(altered["actions"]) if not _ONLINE.match(one)]
        return [_action(action, altered["table"]) for action in actions]
    for kind, pattern in _STATEMENTS:
        if found := re.match(pattern, text):
            named = found.groupdict()
            if kind in (Action.DROP_TABLE, Action.TRUNCATE):
                names = text[found.start("table") :].split(" , ")
                return [Change(kind, name.split()[0]) for name in names]
            others = _REFERENCES.findall(text) if kind is Action.CREATE_TABLE else []
            return [
                Change(kind, named.get("table"), other, named.get("name"))
                for other in dict.fromkeys(others) or (None,)
            ]
    return [Change(Action.UNKNOWN)]


def _action(action: str, table: str) -> Change:
    referred = _REFERENCES.search(action)
    for kind, pattern in _ACTIONS:
        if found := re.match(pattern, action):
            name = found.groupdict().get("name")
            return Change(kind, table, referred[1] if referred else None, name)
    return Change(Action.UNKNOWN, table)


@lru_cache(maxsize=1024)
def _plain(statement: str, dialect: Dialect) -> str:
    """Return the statement on one line, in small letters, without comments and quotes of names.

    Names have no schema if that is the default, except that of a function in DEFAULT.
    """
    words = list[str]()
    for token in tokenize(statement, dialect):
        if token.kind in BLANK or token.kind is Kind.SEMICOLON:
            continue
        if token.kind is Kind.STRING:
            words.append("''")
        elif token.kind is Kind.IDENTIFIER:
            words.append(re.sub(r"\s", "_", token.text[1:-1]))
        else:
            words.append(token.text)
    text = " ".join(words).replace(" . ", ".").lower()
    if schema := _DEFAULT_SCHEMA[dialect]:
        text = re.sub(rf"(?<!default )\b{schema}\.", "", text)
    return text


def _split(actions: str) -> list[str]:
    """Return the actions of an ALTER TABLE, split at the commas outside of brackets."""
    parts, depth = [""], 0
    for word in actions.split(" "):
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] = f"{parts[-1]} {word}".lstrip()
    return parts
