"""A query as its file declares it, and the statements it renders to.

A query is rendered to the parameter style of its driver: ``?`` for SQLite, ``%s`` (with every
other ``%`` doubled) for PyMySQL and psycopg. Lines marked ``-- when:`` and ``-- order:`` are
in or out; each combination that is used is rendered once and kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.queries.lexer import Kind, Token

# A row as the driver returns it.
Row = Sequence[Any]


class Rows(StrEnum):
    """How many rows a query returns, and in what form."""

    ONE = "one"  # a row or none; two are an error
    MANY = "many"  # any number of rows
    SCALAR = "scalar"  # exactly one value
    EXEC = "exec"  # the number of rows changed
    INSERT = "insert"  # the key that the database gave the new row
    BATCH = "batch"  # INSERT … VALUES of many rows at once; the number of rows
    COPY = "copy"  # PostgreSQL's COPY … FROM STDIN; the number of rows


@dataclass(frozen=True)
class Line:
    """A line of a statement.

    In where all of ``when`` is given, or ``order`` was chosen; always in without either.
    """

    tokens: tuple[Token, ...]
    when: frozenset[str] = frozenset()
    order: str | None = None

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Return the parameters on the line, in their order, with repetitions."""
        return tuple(t.text[1:] for t in self.tokens if t.kind is Kind.PARAMETER)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as it is sent, and the parameters in the order of their placeholders."""

    sql: str
    names: tuple[str, ...]
    keys: frozenset[str]
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """The declaration of a query in its file.

    Attributes:
        needs: what some databases lack and the query reads: a table, ``schema.table`` or
            ``schema.table.column``.
        allows: the reasons for what ``sql check`` refuses otherwise, by directive.
    """

    gateway: str
    name: str
    rows: Rows
    doc: str
    differs: str | None
    only: str | None
    needs: str | None
    allow_scan: str | None
    allows: Mapping[str, str]
    lists: frozenset[str]
    lines: tuple[Line, ...]
    file: str
    line: int


class Query:
    """One query of one dialect.

    Attributes:
        title: ``devices.get_by_id``, the gateway and the name.
        plain: the statement, for a query without optional lines and lists.
        required: parameters that must always be given.
        conditions: what may be given to bring ``-- when:`` lines in.
        orders: the orderings that may be asked for; without one, the statement's last holds.
    """

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self.source = source
        self.dialect = dialect
        self.title = f"{source.gateway}.{source.name}"
        self.rows = source.rows
        self.where = f"{source.file}:{source.line}"
        lines = source.lines
        self.conditions = frozenset(name for line in lines for name in line.when)
        self.orders = tuple(dict.fromkeys(line.order for line in lines if line.order))
        self.required = frozenset(
            name for line in lines if not line.when for name in line.parameters
        )
        self._variants: dict[tuple[Any, ...], Statement] = {}
        # The last text of many rows: of some kilobytes, and most batches are of one size.
        self._last_rows = (0, "")
        is_plain = not (self.conditions or self.orders or source.lists)
        self.plain = self._render(frozenset(), None, {}) if is_plain else None

    def statement(self, parameters: Mapping[str, Any], order: str | None = None) -> Statement:
        """Return the statement for the parameters given.

        Raises:
            QueryError: a parameter is unknown or missing, or the ordering is not declared.
        """
        given = parameters.keys()
        if self.plain is not None and given == self.plain.keys and order is None:
            return self.plain
        if given - self.conditions - self.required or self.required - given:
            raise self.wrong_parameters(parameters)
        if order is not None and order not in self.orders:
            raise self.fault(
                f"there is no ordering {order!r}", f"there are: {', '.join(self.orders) or 'none'}"
            )
        sizes = {name: self._slots(name, parameters[name]) for name in self.source.lists & given}
        conditions = self.conditions.intersection(given)
        key = (conditions, order, *sorted(sizes.items()))
        statement = self._variants.get(key)
        if statement is None:
            statement = self._variants[key] = self._render(conditions, order, sizes)
        return statement

    def as_written(self) -> Statement:
        """Return the statement with every optional line in, as a DBA pastes it."""
        return self._render(self.conditions, None, dict.fromkeys(self.source.lists, 1), every=True)

    def tokens(
        self, conditions: frozenset[str], order: str | None, *, every: bool = False
    ) -> list[Token]:
        """Return the tokens of the lines that are in, or of every line."""
        return [
            token
            for line in self.source.lines
            if every or _is_in(line, conditions, order)
            for token in line.tokens
        ]

    def for_rows(self, count: int) -> str:
        """Return a ``:batch`` statement whose VALUES holds ``count`` rows."""
        if self.plain is None:
            raise self.fault("a :batch query has no optional lines")
        last, sql = self._last_rows
        if last != count:
            head, opening, row = self.plain.sql.rpartition("(")
            sql = head + ", ".join([opening + row] * count)
            self._last_rows = (count, sql)
        return sql

    def fault(self, what: str, remedy: str | None = None) -> QueryError:
        """Return an error that names this query and its place."""
        return QueryError(f"{self.title}: {what}", self.where, remedy, detail=what)

    def disagreements(self, other: "Query") -> Iterator[str]:
        """Return how it is called otherwise than another form, which must be called alike."""
        for what, here, there in (
            ("returns", {self.rows.value}, {other.rows.value}),
            ("requires", self.required, other.required),
            ("may be given", self.conditions, other.conditions),
            ("is ordered by", set(self.orders), set(other.orders)),
        ):
            if here != there:
                shown, others = (", ".join(sorted(names)) or "nothing" for names in (here, there))
                yield f"{what} {shown}, but {others} in {other.where}"

    def wrong_parameters(self, parameters: Mapping[str, Any]) -> QueryError:
        """Return the error for parameters that do not fit, with what does."""
        given = parameters.keys()
        missing = ", ".join(sorted(self.required - given))
        unknown = ", ".join(sorted(given - self.required - self.conditions))
        faults = [f"missing: {missing}"] if missing else []
        faults += [f"unknown: {unknown}"] if unknown else []
        takes = ", ".join([*sorted(self.required), *(f"[{c}]" for c in sorted(self.conditions))])
        return self.fault(f"wrong parameters, {'; '.join(faults)}", f"it takes: {takes or 'none'}")

    def _slots(self, name: str, values: Sequence[Any]) -> int:
        """Placeholders for a list: the next power of two, so that few statements are made."""
        if isinstance(values, str | bytes) or not isinstance(values, Sequence):
            raise self.fault(f"{name} is a list parameter and got {type(values).__name__}")
        if len(values) > MAX_LIST:
            raise self.fault(
                f"{name} has {len(values)} values", f"pass at most {MAX_LIST} at a time"
            )
        return 1 << (len(values) - 1).bit_length() if values else 0

    def _render(
        self,
        conditions: frozenset[str],
        order: str | None,
        sizes: Mapping[str, int],
        *,
        every: bool = False,
    ) -> Statement:
        tokens = self.tokens(conditions, order, every=every)
        names = tuple(token.text[1:] for token in tokens if token.kind is Kind.PARAMETER)
        pieces = [self._piece(token, sizes) for token in tokens]
        sql = _squeeze(labelled(pieces, tokens, self.title))
        return Statement(sql, names, frozenset(names), _picker(names, sizes))

    def _piece(self, token: Token, sizes: Mapping[str, int]) -> str:
        if token.kind is not Kind.PARAMETER:
            return self.dialect.escaped(token.text)
        mark = self.dialect.placeholder
        size = sizes.get(token.text[1:])
        if size is None:
            return mark
        return ", ".join([mark] * size) if size else "NULL"


MAX_LIST: Final = 16_384
_LABEL: Final = re.compile(r"\w+\s(?:/\*\+.*?\*/ )?/\* cardlink:(?P<title>\w+\.\w+) \*/", re.DOTALL)


def _is_in(line: Line, conditions: frozenset[str], order: str | None) -> bool:
    if line.when:
        return line.when <= conditions
    return line.order is None or line.order == order


def labelled(pieces: list[str], tokens: Sequence[Token], title: str) -> list[str]:
    """Return the pieces with the query's name after ``labelled_token``."""
    end = labelled_token(tokens) + 1
    return [*pieces[:end], f" /* cardlink:{title} */", *pieces[end:]]


def labelled_token(tokens: Sequence[Token]) -> int:
    """Return the index of the token that the query's name follows.

    It is the first word, where PyMySQL sees an INSERT; or an optimizer hint directly after that
    word, since MySQL reads one nowhere else, and pg_hint_plan only in the first comment.
    """
    verb = next(i for i, token in enumerate(tokens) if token.kind is Kind.WORD)
    after = next((i for i in range(verb + 1, len(tokens)) if not tokens[i].text.isspace()), verb)
    return after if is_hint(tokens[after]) else verb


def is_hint(token: Token) -> bool:
    """Return whether a token is an optimizer hint, or a comment that MySQL executes."""
    return token.kind is Kind.BLOCK_COMMENT and token.text.startswith(("/*+", "/*!"))


def title_in(sql: str) -> str | None:
    """Return the title of the query whose statement this is, or begins as, if any."""
    found = _LABEL.match(sql)
    return found["title"] if found else None


def _squeeze(pieces: list[str]) -> str:
    """Blank runs become one line break or one blank; strings are pieces and stay whole."""
    squeezed: list[str] = []
    for piece in pieces:
        blank = "" if piece.strip() else ("\n" if set(piece) & {"\n", "\r"} else " ")
        if not blank:
            squeezed.append(piece)
        elif squeezed and squeezed[-1] in ("\n", " "):
            squeezed[-1] = "\n" if "\n" in (blank, squeezed[-1]) else " "
        elif squeezed and piece:
            squeezed.append(blank)
    return "".join(squeezed).strip()


def _picker(
    names: tuple[str, ...], sizes: Mapping[str, int]
) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if sizes:
        return lambda parameters: tuple(
            value for name in names for value in _spread(parameters[name], sizes.get(name))
        )
    if not names:
        return lambda _parameters: ()
    if len(names) == 1:
        name = names[0]
        return lambda parameters: (parameters[name],)
    return itemgetter(*names)


def _spread(value: Any, size: int | None) -> Sequence[Any]:
    """A list's values, the last repeated to fill the placeholders: IN takes no notice."""
    if size is None:
        return (value,)
    return [*value, *[value[-1]] * (size - len(value))] if size else ()
