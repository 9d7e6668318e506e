"""The pattern of a text search."""

from cardlink_sql.model import validation


def like_pattern(text: str) -> str:
    """Return a LIKE pattern that finds ``text`` anywhere, for ``ESCAPE '!'``.

    Raises:
        ValidationError: the text is empty, or cannot be in the database.
    """
    literal = validation.identifier(text, "text", 256)
    for sign in "!%_":
        literal = literal.replace(sign, f"!{sign}")
    return f"%{literal}%"
