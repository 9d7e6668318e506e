"""The dashboard of ``test_end_to_end``, a process of its own: hears what the others commit.

It prints a line when it listens, and what it heard, as JSON, once the setting ``run.done``
is stored.
"""

import json
import sys
from collections import Counter

from cardlink_sql import DatabaseConfig, DatabaseManager


def main(url: str) -> None:
    """Listen until the run is over."""
    logged: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    positions = []
    with DatabaseManager(DatabaseConfig(url)) as manager, manager.listen(timeout=60) as listener:
        print("listening", flush=True)
        for event in listener:
            positions.append(event.position)
            heard[f"{event.event_type} {event.action}"] += 1
            if event.event_type == "log_added" and event.entity_id is not None:
                logged[event.entity_id] += event.data["count"]
            if event.entity_id == "run.done":
                break
    print(json.dumps({"logged": logged, "heard": heard, "positions": positions}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
