"""What a statement's words say of it, read by the lexer alone.

SQLite tells exactly what a statement reads and writes; for a form that only PostgreSQL or MySQL
runs, this finds it. Where a name could be a column of two tables, it is taken for both: nothing
that is read or written is missed (a test holds that against SQLite for every query).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from sqlalchemy import MetaData

from cardlink_sql.model.tables import metadata
from cardlink_sql.queries.lexer import BLANK, Kind, Token
from cardlink_sql.review.access import Access

_BEFORE_TABLE: Final = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "COPY", "ONLY", ","})
_BEFORE_OTHER: Final = frozenset({"FROM", "JOIN"})
# Words in whose brackets a FROM names no table: EXTRACT(EPOCH FROM started_at).
_NOT_A_FROM: Final = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION"})
_NO_ALIAS: Final = frozenset(
    {
        "AS", "WHERE", "SET", "ON", "JOIN", "LEFT", "RIGHT", "FULL", "INNER", "OUTER", "CROSS",
        "NATURAL", "ORDER", "GROUP", "LIMIT", "OFFSET", "VALUES", "UNION", "EXCEPT", "INTERSECT",
        "INDEXED", "FORCE", "USE", "IGNORE", "NOT", "RETURNING", "FROM", "HAVING", "FOR", "SELECT",
        "USING", "WINDOW", "DEFAULT", "PARTITION", "STRAIGHT_JOIN", "LOCK",
    }
)  # fmt: skip
_ENDS_OF_SET: Final = frozenset({"WHERE", "FROM", "RETURNING", "ORDER", "LIMIT"})
_LISTS: Final = {"INTO", "COPY"}
_NEEDS_ALL: Final = frozenset(
    {
        "GROUP", "HAVING", "DISTINCT", "UNION", "EXCEPT", "INTERSECT", "OVER",
        "COUNT", "SUM", "AVG", "MIN", "MAX",
    }
)  # fmt: skip


class Clauses:
    """The words of one statement.

    Args:
        tokens: of the statement.
        schema: the tables that names may mean.
    """

    def __init__(self, tokens: Sequence[Token], schema: MetaData = metadata) -> None:
        self._tokens = [token for token in tokens if token.kind not in BLANK]
        self._words = [
            t.text.upper() if t.kind is not Kind.IDENTIFIER else "" for t in self._tokens
        ]
        self._schema = schema
        # A name as a catalog knows it; None for what is no name.
        self.names = [_name(token) for token in self._tokens]

    @property
    def verb(self) -> str:
        """What the statement does: SELECT, INSERT, UPDATE, DELETE, COPY; behind WITH, too."""
        verbs = ("INSERT", "UPDATE", "DELETE", "SELECT", "COPY", "REPLACE")
        if self._words[0] != "WITH":
            return self._words[0]
        return next((w for i, w in enumerate(self._words) if w in verbs and not self._depth[i]), "")

    @property
    def has_outer_join(self) -> bool:
        """Whether a row may come without its partner, with NULL in its columns."""
        return not {"LEFT", "RIGHT", "FULL"}.isdisjoint(self._words)

    @property
    def selects_star(self) -> Token | None:
        """The star of ``SELECT *``."""
        for before, word, token in zip(["", *self._words], self._words, self._tokens, strict=False):
            if word == "*" and before in ("SELECT", "DISTINCT", "."):
                return token
        return None

    @cached_property
    def target(self) -> str | None:
        """The table that the statement writes."""
        before = {"INSERT": "INTO", "REPLACE": "INTO", "UPDATE": "UPDATE", "COPY": "COPY"}
        opener = before.get(self.verb, "FROM" if self.verb == "DELETE" else None)
        for at, name in self._table_names():
            if opener is not None and self._word(at - 1) == opener and not self._depth[at]:
                return name
        return None

    @property
    def tables(self) -> dict[str, str]:
        """The tables by the names that they go by in the statement, aliases among them."""
        return self._tables

    @cached_property
    def listed(self) -> list[tuple[str, Token]]:
        """The columns that INSERT or COPY lists, with their places."""
        for at, _ in self._table_names():
            if self._word(at - 1) in _LISTS and self._word(at + 1) == "(":
                end = self._closing(at + 1)
                return [(n, self._tokens[i]) for i, n in self._named(at + 2, end)]
        return []

    @cached_property
    def values(self) -> list[Token | None]:
        """What the first VALUES gives for each column: a parameter, or None for what is none."""
        if "VALUES" not in self._words:
            return []
        opening = self._words.index("VALUES") + 1
        given: list[Token | None] = []
        for start, end in self._items(opening + 1, self._closing(opening)):
            token = self._tokens[start]
            given.append(token if end - start == 1 and token.kind is Kind.PARAMETER else None)
        return given

    @property
    def selected(self) -> list[tuple[str | None, str] | None]:
        """The select list: (table or None, column) for a bare column, None for an expression."""
        return [self._selected(*item) for item in self._select_list]

    @property
    def cases(self) -> list[bool]:
        """For each item of the select list, whether it is a CASE."""
        return [self._words[start] == "CASE" for start, _ in self._select_list]

    @property
    def assigned(self) -> list[tuple[str, Token]]:
        """The columns that SET gives a bare parameter, with that parameter."""
        return [
            (name, self._tokens[at + 2])
            for at, name in self._set_targets()
            if at + 2 < len(self._tokens)
            and self._tokens[at + 2].kind is Kind.PARAMETER
            and self._word(at + 3) in ("", ",", *_ENDS_OF_SET)
        ]

    def is_narrowed(self, column: str) -> bool:
        """Whether WHERE gives a row only where the column is not NULL."""
        where = self._outermost("WHERE", 0)
        if self._outermost("OR", where) < len(self._words):
            return False
        return any(
            self.names[i] == column
            and not self._depth[i]
            and (
                self._word(i + 1) in ("=", "<", ">", "IN")
                or self._words[i + 1 : i + 4] == ["IS", "NOT", "NULL"]
            )
            for i in range(where, len(self._words))
        )

    def stops_at_limit(self, name: str) -> bool:
        """Whether a SELECT gives a table's rows as they come, and ends with its LIMIT.

        It has no condition that passes rows over, no other table, and nothing that needs all rows
        before it gives the first: no group, aggregate, DISTINCT or UNION.

        Args:
            name: the table's, or its alias.
        """
        places = [at for at, known in self._named_tables() if name in known]
        return bool(places) and all(self._is_read_to_limit(at) for at in places)

    def access(self) -> Access:
        """What the statement reads and writes."""
        target, verb = self.target, self.verb
        updated = dict(self._set_targets())
        listed = {id(token) for _, token in self.listed}
        skipped = set(updated) | {i for i, token in enumerate(self._tokens) if id(token) in listed}
        inserts: dict[str, frozenset[str]] = {}
        updates: dict[str, frozenset[str]] = {}
        if target is not None and verb in ("INSERT", "REPLACE", "COPY"):
            inserts[target] = frozenset(name for name, _ in self.listed)
        if target is not None and updated:
            updates[target] = frozenset(updated.values())
        updates |= {sequence: frozenset[str]() for sequence in self._sequences()}
        deletes = {target} if target is not None and verb in ("DELETE", "REPLACE") else set()
        read = Access(reads=self._reads(skipped)) | Access(reads=self.upsert_reads())
        return read | Access({}, inserts, updates, frozenset(deletes))

    def upsert_reads(self) -> dict[str, frozenset[str]]:
        """The columns of ``ON CONFLICT (…)``, and those that EXCLUDED gives.

        A server reads the first to find the other row; for the others PostgreSQL wants SELECT.
        """
        names: set[str] = set()
        for i, word in enumerate(self._words):
            if self._words[i : i + 3] == ["ON", "CONFLICT", "("]:
                names.update(name for _, name in self._named(i + 3, self._closing(i + 2)))
            elif word == "EXCLUDED" and self._word(i + 1) == ".":
                names.add(self.names[i + 2] or "")
        return {self.target: frozenset(names)} if self.target is not None and names else {}

    # Reading the words

    def _word(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""

    @cached_property
    def _depth(self) -> list[int]:
        depths, depth = [], 0
        for word in self._words:
            depth -= word == ")"
            depths.append(depth)
            depth += word == "("
        return depths

    @cached_property
    def _openers(self) -> list[str]:
        """For each token, the word before the bracket that it stands in."""
        stack, openers = [""], []
        for at, word in enumerate(self._words):
            if word == ")" and len(stack) > 1:
                stack.pop()
            openers.append(stack[-1])
            if word == "(":
                stack.append(self._word(at - 1))
        return openers

    def _closing(self, opening: int) -> int:
        depth = self._depth[opening]
        return next(
            (
                i
                for i in range(opening + 1, len(self._words))
                if self._words[i] == ")" and self._depth[i] == depth
            ),
            len(self._words),
        )

    def _items(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The pieces between commas, each from and to."""
        depth, first = self._depth[start] if start < end else 0, start
        for i in range(start, end):
            if self._words[i] == "," and self._depth[i] == depth:
                yield first, i
                first = i + 1
        if first < end:
            yield first, end

    def _named(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        for i in range(start, end):
            name = self.names[i]
            if name is not None:
                yield i, name

    @cached_property
    def _select_list(self) -> list[tuple[int, int]]:
        """The items of the outermost SELECT; none where its rows come from several."""
        outermost = {w for w, depth in zip(self._words, self._depth, strict=True) if not depth}
        if self.verb != "SELECT" or not {"UNION", "EXCEPT", "INTERSECT"}.isdisjoint(outermost):
            return []
        start = self._outermost("SELECT", 0)
        start += self._word(start + 1) == "DISTINCT"
        return list(self._items(start + 1, self._outermost("FROM", start)))

    def _outermost(self, word: str, start: int) -> int:
        at = (i for i in range(start, len(self._words)) if self._words[i] == word)
        return next((i for i in at if not self._depth[i]), len(self._words))

    def _selected(self, start: int, end: int) -> tuple[str | None, str] | None:
        names = self.names[start:end]
        words = self._words[start:end]
        if "AS" in words:
            names, words = names[: words.index("AS")], words[: words.index("AS")]
        if len(names) == 1 and names[0] is not None:
            owners = [t for t in dict.fromkeys(self._tables.values()) if self._has(t, names[0])]
            return (owners[0] if len(owners) == 1 else None, names[0])
        if len(names) == 3 and words[1] == "." and names[0] and names[2]:
            return (self._tables.get(names[0]), names[2])
        return None

    def _table_names(self) -> Iterator[tuple[int, str]]:
        for i, name in enumerate(self.names):
            if (
                name is not None
                and name in self._schema.tables
                and self._word(i - 1) in _BEFORE_TABLE
                and self._word(i + 1) != "."
                and self._openers[i] not in _NOT_A_FROM
            ):
                yield i, name

    @cached_property
    def _tables(self) -> dict[str, str]:
        """The tables by the names that they go by in the statement."""
        return {name: names[0] for _, names in self._named_tables() for name in names}

    def _named_tables(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Where each table stands, with its name and its alias."""
        for at, table in self._table_names():
            behind = at + 1 + (self._word(at + 1) == "AS")
            alias = self.names[behind] if behind < len(self.names) else None
            is_alias = alias is not None and self._word(behind) not in _NO_ALIAS
            yield at, (table, alias) if alias is not None and is_alias else (table,)

    def _is_read_to_limit(self, at: int) -> bool:
        words = self._words_beside(at)
        is_read = self._word(at - 1) == "FROM" and "LIMIT" in words
        if not is_read or not _NEEDS_ALL.isdisjoint(words):
            return False
        begin = words.index("FROM") + 1
        end = next(i for i, w in enumerate(words) if i > begin and w in ("ORDER", "LIMIT"))
        between = words[begin:end]
        condition = between[between.index("WHERE") :] if "WHERE" in between else []
        is_alone = "," not in between and "JOIN" not in between
        return is_alone and condition in ([], ["WHERE", "1", "=", "1"])

    def _words_beside(self, at: int) -> list[str]:
        """The words of the brackets that a word stands in, without those of brackets inside."""
        depth = self._depth[at]
        start = next((i for i in range(at, -1, -1) if self._depth[i] < depth), -1)
        end = next((i for i in range(at, len(self._words)) if self._depth[i] < depth), None)
        beside = range(start + 1, len(self._words) if end is None else end)
        return [self._words[i] for i in beside if self._depth[i] == depth]

    def _has(self, table: str, column: str) -> bool:
        return column in self._schema.tables[table].columns

    def _set_targets(self) -> Iterator[tuple[int, str]]:
        for i, word in enumerate(self._words):
            begins = word == "SET" or (word == "UPDATE" and self._word(i - 1) == "KEY")
            if begins and not self._depth[i]:
                yield from self._assigned(i + 1)

    def _assigned(self, start: int) -> Iterator[tuple[int, str]]:
        end = next(
            (
                i
                for i in range(start, len(self._words))
                if self._words[i] in _ENDS_OF_SET and not self._depth[i]
            ),
            len(self._words),
        )
        for first, _ in self._items(start, end):
            at = first + 2 if self._word(first + 1) == "." else first
            name = self.names[at]
            if name is not None and self._word(at + 1) == "=":
                yield at, name

    def _reads(self, skipped: set[int]) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        places = dict(self._table_names())
        for at, table in places.items():
            if self._word(at - 1) in ("FROM", "JOIN", ",") and not self._deletes_from(at):
                found[table] = set()
        for other in self._other_tables():
            found[other] = set()
        for at, name in self._named(0, len(self.names)):
            if at not in skipped and at not in places and self._is_value(at):
                for table in self._owners(at, name):
                    found[table].add(name)
        return {table: frozenset(columns) for table, columns in found.items()}

    def _sequences(self) -> Iterator[str]:
        """The sequences that SETVAL or NEXTVAL move, by PostgreSQL's way to name them."""
        if {"SETVAL", "NEXTVAL"}.isdisjoint(self._words):
            return
        for i, word in enumerate(self._words):
            if word == "PG_GET_SERIAL_SEQUENCE":
                table, column = (self._tokens[at].text.strip("'") for at in (i + 2, i + 4))
                yield f"{table}_{column}_seq"

    def _deletes_from(self, at: int) -> bool:
        return self._word(at - 2) == "DELETE"

    def _is_value(self, at: int) -> bool:
        is_key_word = self._word(at - 1) == "DUPLICATE"
        return not is_key_word and self._word(at - 1) != "AS" and self._word(at + 1) not in (
            "(", ".",
        )  # fmt: skip

    def _owners(self, at: int, name: str) -> list[str]:
        if self._word(at - 1) == ".":
            table = self._tables.get(self.names[at - 2] or "")
            return [table] if table and self._has(table, name) else []
        return [t for t in dict.fromkeys(self._tables.values()) if self._has(t, name)]

    def _other_tables(self) -> Iterator[str]:
        """Tables that are not of the schema, such as ``information_schema.tables``."""
        made = {
            self.names[i]
            for i in range(len(self.names))
            if self._word(i + 1) == "AS" and self._word(i + 2) == "("
        }
        for i, name in self._named(0, len(self.names)):
            if self._word(i - 1) in _BEFORE_OTHER and self._openers[i] not in _NOT_A_FROM:
                is_dotted = self._word(i + 1) == "."
                full = f"{name}.{self.names[i + 2]}" if is_dotted else name
                is_call = self._word(i + (3 if is_dotted else 1)) == "("
                known = full in self._schema.tables or full in made
                if not known and not is_call and self._words[i] != "STDIN":
                    yield full


def _name(token: Token) -> str | None:
    if token.kind is Kind.WORD:
        return token.text.lower()
    return token.text[1:-1] if token.kind is Kind.IDENTIFIER else None
