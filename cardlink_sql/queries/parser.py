"""Finds the queries of an SQL file.

A query is a header, its documentation, and one statement that ends in ``;``::

    -- name: find_by_type :many
    -- The devices of one type, newest first.
    -- differs: why this dialect needs its own form (in a dialect's folder only)
    -- only: why the other dialects have no such query (in place of differs)
    -- needs: pg_stat_statements (a table, or schema.table.column, that some databases lack)
    -- list: ids (a parameter that takes a list, in IN (:ids))
    -- allow-scan: why it may read or sort the whole of a table that grows
    -- allow-rows: why a :one or :scalar returns one row, where its keys do not say so
    -- allow-alias: why a column is selected under another column's name
    -- allow-like: why a LIKE needs no ESCAPE
    SELECT id
    FROM devices
    WHERE device_type = :device_type
      AND imei = :imei                     -- when: imei
    ORDER BY
      name DESC, id DESC,                  -- order: name desc
      id;

A line that ends in ``-- when: imei`` is in where ``imei`` is given; of the lines that end in
``-- order: …`` the one that was asked for is in; ``-- when: a, b`` needs both. With all lines
in, the statement is valid.
"""

import keyword
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise, takewhile
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.queries.lexer import BLANK, Kind, Token, tokenize
from cardlink_sql.queries.query import Line, Query, Rows, Source, is_hint

_HEADER: Final = re.compile(r"--\s*name\s*:\s*(?P<name>\S*)(?:\s+:(?P<rows>\S+))?\s*$")
_LOOKS_LIKE_HEADER: Final = re.compile(r"--\s*\w+\s*:?\s*\w+\s+:\w+\s*$")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
_DIRECTIVE: Final = re.compile(r"--\s*(?P<word>[a-z_-]+):\s*(?P<value>.*?)\s*$")
_MARKER: Final = re.compile(r"--\s*(?P<word>when|order)\s*:\s*(?P<value>.*?)\s*$")
_NEEDS: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){0,2}\Z")
_ALLOWS: Final = ("allow-rows", "allow-alias", "allow-like")
_DIRECTIVES: Final = ("list", "differs", "only", "needs", "allow-scan", *_ALLOWS)
_ORDER: Final = re.compile(r"[a-z][a-z0-9_]*( desc)?\Z")
# A driver or a server would take these for its own parameters.
_NATIVE_PLACEHOLDERS: Final = {
    Dialect.SQLITE: re.compile(r"\?|[@$#]\w"),
    Dialect.MYSQL: re.compile(r"\?"),
    Dialect.POSTGRESQL: re.compile(r"\$\d"),
}
_NAME_OR_NUMBER: Final = re.compile(r"\w")
_HEADER_FORM: Final = "write -- name: get_by_id :one"


@dataclass
class _File:
    """The file being read; makes errors that quote the line."""

    path: str
    text: str
    dialect: Dialect
    needs_reason: bool

    def fault(self, token: Token, what: str, remedy: str | None = None) -> QueryError:
        line = re.split(r"\r\n|\n|\r", self.text)[token.line - 1].strip()
        return QueryError(f"{what}: {line}", f"{self.path}:{token.line}:{token.column}", remedy)


@dataclass
class _Block:
    """A header and the tokens up to the next one."""

    header: Token
    name: str
    rows: Rows
    tokens: list[Token] = field(default_factory=list)


def outline(
    text: str, path: str, dialect: Dialect, *, needs_reason: bool = False
) -> dict[str, Callable[[], Query]]:
    """Find the queries of a file's text; a query is parsed by calling its value.

    Args:
        text: the file's text.
        path: how errors name the file; its stem names the gateway.
        dialect: whose rules the text follows.
        needs_reason: each query must say in ``-- differs:`` why its dialect has its own.

    Raises:
        QueryError: the file is malformed, here between its queries, in a call within one; the
            message names file, line and column.
    """
    file = _File(path, text, dialect, needs_reason)
    if text.startswith("\ufeff"):
        raise QueryError("the file starts with a byte order mark", f"{path}:1:1", "save without it")
    blocks: dict[str, _Block] = {}
    for block in _blocks(file):
        first = blocks.setdefault(block.name, block)
        if first is not block:
            raise file.fault(
                block.header,
                f"a second query is named {block.name!r} (the first: line {first.header.line})",
                "choose another name",
            )
    return {name: partial(_query, file, block) for name, block in blocks.items()}


def _blocks(file: _File) -> Iterator[_Block]:
    block: _Block | None = None
    for token in tokenize(file.text, file.dialect, file.path):
        if token.kind is Kind.LINE_COMMENT and (header := _header(file, token)):
            if block:
                yield block
            block = header
        elif block:
            block.tokens.append(token)
        elif token.kind not in BLANK:
            raise file.fault(token, "SQL before the first header", _HEADER_FORM)
    if block:
        yield block


def _header(file: _File, token: Token) -> _Block | None:
    match = _HEADER.match(token.text)
    if not match:
        if token.column == 1 and _LOOKS_LIKE_HEADER.match(token.text):
            raise file.fault(token, "malformed query header", _HEADER_FORM)
        return None
    name, rows = match["name"], match["rows"]
    if not _NAME.match(name) or keyword.iskeyword(name):
        raise file.fault(
            token, f"{name!r} is not a query name", "use lower-case words joined by _, no keyword"
        )
    if rows not in set(Rows):
        kinds = " ".join(f":{kind}" for kind in Rows)
        raise file.fault(
            token, "the header does not say what the query returns", f"add one: {kinds}"
        )
    return _Block(token, name, Rows(rows))


def _query(file: _File, block: _Block) -> Query:
    documentation = list(takewhile(lambda token: token.kind in BLANK, block.tokens))
    body = block.tokens[len(documentation) :]
    doc, directives = _documentation(file, block, documentation)
    reasons = directives.keys() & {"differs", "only"}
    if file.needs_reason and not reasons:
        raise file.fault(
            block.header,
            f"{block.name} does not say why this dialect needs a separate form",
            "add a line: -- differs: the reason",
        )
    if "only" in reasons and not file.needs_reason:
        raise file.fault(
            block.header, f"{block.name} is for all dialects, so only: has no place here"
        )
    if "needs" in directives:
        _check_needs(file, block, directives["needs"])
    if not doc:
        raise file.fault(block.header, f"{block.name} has no documentation", "add -- lines below")
    lines = tuple(_lines(file, _statement(file, block, body)))
    lists = re.split(r"[,\s]+", directives["list"]) if "list" in directives else ()
    source = Source(
        gateway=file.path.rpartition("/")[2].removesuffix(".sql"),
        name=block.name,
        rows=block.rows,
        doc=doc,
        differs=directives.get("differs"),
        only=directives.get("only"),
        needs=directives.get("needs"),
        allow_scan=directives.get("allow-scan"),
        allows={word: directives[word] for word in _ALLOWS if word in directives},
        lists=frozenset(lists),
        lines=lines,
        file=file.path,
        line=block.header.line,
    )
    _check(file, block, source)
    return Query(source, file.dialect)


def _documentation(file: _File, block: _Block, tokens: list[Token]) -> tuple[str, dict[str, str]]:
    doc, directives = [], dict[str, str]()
    for token in tokens:
        if is_hint(token):
            raise file.fault(
                token, "an optimizer hint before the statement", "put it after the first word"
            )
        if token.kind is not Kind.LINE_COMMENT:
            continue
        match = _DIRECTIVE.match(token.text)
        if not match:
            doc.append(token.text.lstrip("-#").strip())
        elif match["word"] not in _DIRECTIVES:
            there_are = ", ".join(f"{word}:" for word in _DIRECTIVES)
            raise file.fault(
                token, f"{match['word']!r} is not a directive", f"there are {there_are}"
            )
        elif not match["value"]:
            raise file.fault(token, "the directive is empty", "say it on this line")
        elif match["word"] in directives:
            raise file.fault(
                token, f"{block.name} has this directive twice", "make one line of them"
            )
        else:
            directives[match["word"]] = match["value"]
    return "\n".join(doc).strip(), directives


def _check_needs(file: _File, block: _Block, name: str) -> None:
    if not file.needs_reason:
        raise file.fault(
            block.header, f"{block.name} is for all dialects, so needs: has no place here"
        )
    if not _NEEDS.match(name):
        raise file.fault(
            block.header,
            f"{name!r} cannot follow needs:",
            "write -- needs: table, schema.table or schema.table.column",
        )


def _statement(file: _File, block: _Block, body: list[Token]) -> list[Token]:
    """The statement's tokens without its ``;``; nothing but comments may follow."""
    ends = [i for i, token in enumerate(body) if token.kind is Kind.SEMICOLON]
    if not any(token.kind is Kind.WORD for token in body):
        raise file.fault(block.header, f"{block.name} has no statement", "write one below")
    if not ends:
        raise file.fault(body[0], f"the statement of {block.name} does not end in ;", "add it")
    for token in body[ends[0] + 1 :]:
        if token.kind not in BLANK:
            raise file.fault(
                token,
                f"{block.name} has a second statement",
                f"one statement a query; {_HEADER_FORM} starts another",
            )
    _refuse_false_parameters(file, body[: ends[0] + 1])
    # A marker after the closing ; belongs to the last line.
    rest = list(takewhile(lambda token: token.kind is not Kind.NEWLINE, body[ends[0] + 1 :]))
    return [*body[: ends[0]], *rest]


def _refuse_false_parameters(file: _File, statement: list[Token]) -> None:
    pattern = _NATIVE_PLACEHOLDERS[file.dialect]
    depth = 0
    for token, following in pairwise(statement):
        if token.kind is not Kind.OTHER:
            continue
        depth += (token.text == "[") - (token.text == "]")
        if pattern.match(token.text + following.text):
            raise file.fault(token, "this is a placeholder of the driver", "write :name")
        # In brackets a colon makes a slice of an array.
        if token.text == ":" and depth == 0 and _NAME_OR_NUMBER.match(following.text):
            raise file.fault(
                token,
                f":{following.text} is not a parameter",
                "write a blank before the colon, and the name in ASCII letters, digits and _",
            )


def _lines(file: _File, tokens: list[Token]) -> Iterator[Line]:
    line: list[Token] = []
    for token in tokens:
        line.append(token)
        if token.kind is Kind.NEWLINE:
            yield _line(file, line)
            line = []
    yield _line(file, line)


def _line(file: _File, tokens: list[Token]) -> Line:
    """A line with its marker read and its line comment gone."""
    comment = next((token for token in tokens if token.kind is Kind.LINE_COMMENT), None)
    kept = tuple(token for token in tokens if token.kind is not Kind.LINE_COMMENT)
    marker = _MARKER.match(comment.text) if comment else None
    if comment is None or marker is None:
        return Line(kept)
    if kept and kept[0].line != comment.line:
        raise file.fault(comment, "the line of this marker starts inside a string or a comment")
    names = frozenset(re.split(r"[,\s]+", marker["value"]))
    is_when = marker["word"] == "when"
    if not (all(map(_NAME.match, names)) if is_when else _ORDER.match(marker["value"])):
        raise file.fault(
            comment,
            f"{marker['value']!r} cannot follow {marker['word']}:",
            "write -- when: parameter, -- order: column or -- order: column desc",
        )
    if is_when:
        return Line(kept, when=names)
    return Line(kept, order=marker["value"])


def _check(file: _File, block: _Block, source: Source) -> None:
    first = next(line for line in source.lines if any(t.kind not in BLANK for t in line.tokens))
    opening = next(token for token in first.tokens if token.kind not in BLANK)
    if first.when or first.order or opening.kind is not Kind.WORD:
        raise file.fault(opening, "a statement starts with a word, on a line that is always in")
    always = {name for line in source.lines if not line.when for name in line.parameters}
    everywhere = {name for line in source.lines for name in line.parameters}
    for line in source.lines:
        stray = sorted(set(line.parameters) - always - line.when) if line.when else []
        if stray:
            raise file.fault(
                line.tokens[0],
                f"the line needs :{stray[0]}, which may not be given when the line is in",
                f"mark it -- when: {', '.join(sorted({*line.when, stray[0]}))}",
            )
        if line.order and line.parameters:
            raise file.fault(line.tokens[0], "an ordering takes no parameter")
    for name in sorted(source.lists):
        _check_list(file, block, source, name, everywhere)
    if source.rows is Rows.BATCH:
        _check_batch(file, block, source)
    if source.rows is Rows.COPY and (file.dialect is not Dialect.POSTGRESQL or everywhere):
        raise file.fault(block.header, ":copy is PostgreSQL's COPY … FROM STDIN, no parameters")


def _check_list(
    file: _File, block: _Block, source: Source, name: str, everywhere: set[str]
) -> None:
    if name not in everywhere:
        raise file.fault(block.header, f"list: names {name!r}, which is not a parameter")
    tokens = [t for line in source.lines for t in line.tokens if t.kind not in BLANK]
    for i, token in enumerate(tokens):
        if token.kind is Kind.PARAMETER and token.text[1:] == name:
            around = [t.text.upper() for t in (*tokens[max(i - 3, 0) : i], *tokens[i + 1 : i + 2])]
            # An empty list becomes NULL, which IN never matches but NOT IN would not either.
            if around[-3:] != ["IN", "(", ")"] or around[0] == "NOT":
                raise file.fault(token, f"the list :{name} is outside of IN (:{name})")


def _check_batch(file: _File, block: _Block, source: Source) -> None:
    tokens = [t for line in source.lines for t in line.tokens if t.kind not in BLANK]
    words = [t.text.upper() for t in tokens]
    tail = tokens[words.index("VALUES") + 1 :] if "VALUES" in words else []
    is_row = (
        len(tail) > 2
        and [tail[0].text, tail[-1].text] == ["(", ")"]
        and all(t.kind is Kind.PARAMETER for t in tail[1:-1:2])
        and all(t.text == "," for t in tail[2:-1:2])
    )
    if words[0] != "INSERT" or not is_row:
        raise file.fault(
            block.header, "a :batch query is INSERT INTO … VALUES (:a, :b) and nothing more"
        )
