"""A query as a server knows it: its lines in or out, the server's placeholders, places kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query
from cardlink_sql.queries.lexer import BLANK, Kind, Token
from cardlink_sql.queries.query import labelled

Placeholder = Callable[[int], str]

# What the drivers send: psycopg numbers its placeholders, PREPARE of MySQL takes ?.
PLACEHOLDERS: Final[dict[Dialect, Placeholder]] = {
    Dialect.SQLITE: lambda _number: "?",
    Dialect.MYSQL: lambda _number: "?",
    Dialect.POSTGRESQL: "${}".format,
}


@dataclass(frozen=True)
class Variant:
    """A query with some of its lines in.

    Attributes:
        query: the query.
        label: which lines are in, such as ``order: name desc``.
        tokens: the tokens of these lines.
        given: the conditions that bring them in.
        order: the order that is asked for.
    """

    query: Query
    label: str
    tokens: tuple[Token, ...]
    given: frozenset[str] = frozenset()
    order: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameter of each placeholder, in their order."""
        return tuple(t.text[1:] for t in self.tokens if t.kind is Kind.PARAMETER)

    def sql(self, placeholder: Placeholder | None = None) -> str:
        """The statement; without ``placeholder``, with that of the query's dialect."""
        return "".join(self._pieces(placeholder or PLACEHOLDERS[self.query.dialect]))

    def place_at(self, offset: int) -> str:
        """``file:line:column`` of a character of :meth:`sql`, counted from 0."""
        token = self._token_at(offset)
        return f"{self.query.source.file}:{token.line}:{token.column}"

    def word_at(self, offset: int) -> str | None:
        """The name at a character of :meth:`sql`, counted from 0."""
        token = self._token_at(offset)
        return token.text if token.kind in (Kind.WORD, Kind.IDENTIFIER) else None

    def place_of(self, word: str) -> str:
        """``file:line:column`` of a word, such as ``name`` or ``:name``, where it first stands.

        Of the query's header where it stands nowhere.
        """
        wanted = word.rpartition(".")[2].strip("\"'`[]").lower()
        for token in self.tokens:
            if token.kind not in BLANK and token.text.strip("\"'`[]").lower() == wanted:
                return f"{self.query.source.file}:{token.line}:{token.column}"
        return self.query.where

    def _token_at(self, offset: int) -> Token:
        pieces = self._pieces(PLACEHOLDERS[self.query.dialect])
        # The query's name, the one piece that is no token, stands behind the first word.
        verb = next(i for i, token in enumerate(self.tokens) if token.kind is Kind.WORD)
        ends = list(accumulate(map(len, pieces)))
        at = next(i for i, end in enumerate(ends) if end > offset or i == len(ends) - 1)
        return self.tokens[at if at <= verb else at - 1]

    def _pieces(self, placeholder: Placeholder) -> list[str]:
        number = 0
        pieces = []
        for token in self.tokens:
            if token.kind is Kind.PARAMETER:
                number += 1
                pieces.append(placeholder(number))
            else:
                pieces.append(token.text)
        return labelled(pieces, list(self.tokens), self.query.title)


def as_written(query: Query) -> Variant:
    """The query with every line in."""
    tokens = query.tokens(query.conditions, None, every=True)
    return Variant(query, "with every line in", tuple(tokens), query.conditions)


def bare(query: Query) -> Variant:
    """The query without its optional lines."""
    return _with(query, "without optional lines")


def variants(query: Query) -> Iterator[Variant]:
    """The query with every line in, bare, with each condition alone and in each order."""
    yield as_written(query)
    if query.conditions or query.orders:
        yield bare(query)
    yield from _conditions(query)
    yield from _orders(query)


def sent_variants(query: Query) -> Iterator[Variant]:
    """The query as it may be sent: bare, with each condition alone, with all, in each order."""
    if not query.conditions and not query.orders:
        yield as_written(query)
        return
    yield bare(query)
    alone = list(_conditions(query))
    yield from alone
    if len(alone) > 1:
        yield _with(query, "with every condition", query.conditions)
    yield from _orders(query)


def _conditions(query: Query) -> Iterator[Variant]:
    for given in dict.fromkeys(line.when for line in query.source.lines if line.when):
        yield _with(query, f"when: {', '.join(sorted(given))}", given)


def _orders(query: Query) -> Iterator[Variant]:
    for order in query.orders:
        yield _with(query, f"order: {order}", order=order)


def _with(
    query: Query, label: str, given: frozenset[str] = frozenset(), order: str | None = None
) -> Variant:
    return Variant(query, label, tuple(query.tokens(given, order)), given, order)
