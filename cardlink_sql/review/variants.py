"""A query as a server knows it: its lines in or out, the server's placeholders, places kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.sqlfiles import Query
from cardlink_sql.sqlfiles.lexer import BLANK, Kind, Token
from cardlink_sql.sqlfiles.query import labelled

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
    """

    query: Query
    label: str
    tokens: tuple[Token, ...]

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
    return Variant(query, "with every line in", tuple(tokens))


def bare(query: Query) -> Variant:
    """The query without its optional lines."""
    return Variant(query, "without optional lines", tuple(query.tokens(frozenset(), None)))


def variants(query: Query) -> Iterator[Variant]:
    """The query with every line in, bare, with each condition alone and in each order."""
    yield as_written(query)
    if query.conditions or query.orders:
        yield bare(query)
    for given in dict.fromkeys(line.when for line in query.source.lines if line.when):
        label = f"when: {', '.join(sorted(given))}"
        yield Variant(query, label, tuple(query.tokens(given, None)))
    for order in query.orders:
        yield Variant(query, f"order: {order}", tuple(query.tokens(frozenset(), order)))
