"""The text of a query for people: its original lines, with their markers and its name."""

from cardlink_sql.queries import Query
from cardlink_sql.queries.lexer import BLANK
from cardlink_sql.queries.query import Line, labelled_token
from cardlink_sql.review.statements.variants import as_written


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
