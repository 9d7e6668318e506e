"""Shows a PSK identity in a message, unless it could be a key."""

import re
from typing import Final

# An identity of so many hex digits could be a key that was put in its place.
_MAY_BE_A_KEY: Final = re.compile(r"[0-9A-F]{16,}", re.IGNORECASE)


def shown_identity(identity: object) -> str:
    """Return an identity in quotes, or why it is not shown."""
    if isinstance(identity, str) and _MAY_BE_A_KEY.search(identity) and not identity.isdecimal():
        return "(not shown, since it may be a key)"
    return repr(identity)[:200]
