"""The three drivers' errors, in one form."""


def message(error: BaseException) -> str:
    """Return the driver's message with the server's code.

    PostgreSQL's DETAIL is left out: it quotes whole rows, and a row may hold a key.
    """
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        return f"{primary} (SQLSTATE {error.sqlstate})"  # type: ignore[attr-defined]
    match error.args:
        case (int() as number, str() as text):
            return f"{text} (error {number})"
    return " ".join(str(error).split()) or type(error).__name__
