"""A query rendered for a server or for people: its lines, its placeholders, its places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query
from cardlink_sql.queries.lexer import BLANK, Kind, Token
from cardlink_sql.queries.query import Line, labelled, labelled_token

Placeholder = Callable[[int], str]

# As the drivers send them: psycopg numbers its placeholders, MySQL's PREPARE takes ?.
PLACEHOLDERS: Final[dict[Dialect, Placeholder]] = {
    Dialect.SQLITE: lambda _number: "?",
    Dialect.MYSQL: lambda _number: "?",
    Dialect.POSTGRESQL: "${}".format,
}


@dataclass(frozen=True)
class Variant:
    """A query with some of its optional lines.

    Attributes:
        label: the included lines, such as ``order: name desc``.
        given: the conditions that include them.
    """

    query: Query
    label: str
    tokens: tuple[Token, ...]
    given: frozenset[str] = frozenset()
    order: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameter of each placeholder, in order."""
        return tuple(t.text[1:] for t in self.tokens if t.kind is Kind.PARAMETER)

    def sql(self, placeholder: Placeholder | None = None) -> str:
        """Return the statement; by default with the placeholder of the query's dialect."""
        return "".join(self._pieces(placeholder or PLACEHOLDERS[self.query.dialect]))

    def place_at(self, offset: int) -> str:
        """Return ``file:line:column`` of a character of :meth:`sql`, counted from 0."""
        token = self._token_at(offset)
        return f"{self.query.source.file}:{token.line}:{token.column}"

    def word_at(self, offset: int) -> str | None:
        """Return the name at a character of :meth:`sql`, counted from 0."""
        token = self._token_at(offset)
        return token.text if token.kind in (Kind.WORD, Kind.IDENTIFIER) else None

    def place_of(self, word: str) -> str:
        """Return ``file:line:column`` of the first occurrence of a word, such as ``:name``.

        If it does not occur, return the place of the query's header.
        """
        wanted = word.rpartition(".")[2].strip("\"'`[]").lower()
        for token in self.tokens:
            if token.kind not in BLANK and token.text.strip("\"'`[]").lower() == wanted:
                return f"{self.query.source.file}:{token.line}:{token.column}"
        return self.query.where

    def _token_at(self, offset: int) -> Token:
        pieces = self._pieces(PLACEHOLDERS[self.query.dialect])
        # The query's name is the one piece that is not a token.
        before_label = labelled_token(self.tokens)
        ends = list(accumulate(map(len, pieces)))
        at = next(i for i, end in enumerate(ends) if end > offset or i == len(ends) - 1)
        return self.tokens[at if at <= before_label else at - 1]

    def _pieces(self, placeholder: Placeholder) -> list[str]:
        number = 0
        pieces = []
        for token in self.tokens:
            if token.kind is Kind.PARAMETER:
                number += 1
                pieces.append(placeholder(number))
            else:
                pieces.append(token.text)
        return labelled(pieces, self.tokens, self.query.title)


def as_written(query: Query) -> Variant:
    """Return the query with every line."""
    tokens = query.tokens(query.conditions, None, every=True)
    return Variant(query, "with every line in", tuple(tokens), query.conditions)


def bare(query: Query) -> Variant:
    """Return the query without its optional lines."""
    return _with(query, "without optional lines")


def variants(query: Query) -> Iterator[Variant]:
    """Yield the query with all lines, bare, with each single condition and in each order."""
    yield as_written(query)
    if query.conditions or query.orders:
        yield bare(query)
    yield from _conditions(query)
    yield from _orders(query)


def sent_variants(query: Query) -> Iterator[Variant]:
    """Yield the variants that may be sent: bare, each condition, all, each order."""
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


def query_text(query: Query) -> str:
    """Return the statement with every line and marker, ``:name`` parameters and a final ``;``."""
    tokens = as_written(query).tokens
    before_label = tokens[labelled_token(tokens)]
    lines = []
    for line in query.source.lines:
        text = "".join(
            f"{token.text} /* cardlink:{query.title} */" if token is before_label else token.text
            for token in line.tokens
        ).rstrip()
        if any(token.kind not in BLANK for token in line.tokens):
            lines.append((text, _marker(line)))
    # If the last line is optional, the ; has its own line.
    text, marker = lines[-1]
    lines[-1:] = [(text, marker), (";", "")] if marker else [(f"{text};", "")]
    width = max((len(text) for text, marker in lines if marker), default=0)
    return "\n".join(f"{text.ljust(width)}  {marker}" if marker else text for text, marker in lines)


def _marker(line: Line) -> str:
    if line.when:
        return f"-- when: {', '.join(sorted(line.when))}"
    return f"-- order: {line.order}" if line.order else ""
