"""Whether this thread runs an event loop, without importing asyncio for it."""

import sys


def is_running() -> bool:
    """Return whether an asyncio event loop runs on this thread."""
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is not None
