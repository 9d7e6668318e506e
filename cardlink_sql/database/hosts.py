"""Connects to the first of several hosts that answers and will do."""

import logging
from collections.abc import Iterator
from random import shuffle
from time import monotonic
from typing import Any, Final

from cardlink_sql.config import TARGET, DatabaseConfig
from cardlink_sql.database.backend import Backend

_log: Final = logging.getLogger(__name__)


class Hosts:
    """The hosts of one engine; the one that answered last is tried first."""

    def __init__(self, backend: Backend, config: DatabaseConfig, limit: Any) -> None:
        self._backend = backend
        self._seconds = config.connect_timeout
        self._limit = limit
        self._last: tuple[str, str] | None = None

    def connect(self, options: dict[str, Any]) -> Any:
        """Return the driver's connection to the first host that will do.

        Each host has ``connect_timeout``, or its share of what is left of the thread's limit. The
        driver's error has the reason of each host.
        """
        attempts = list(self._attempts(options))
        end = self._limit.within(self._seconds * len(attempts))
        failures: list[Exception] = []
        for number, attempt in enumerate(attempts):
            now = monotonic()
            deadline = now + min(self._seconds, (end - now) / (len(attempts) - number))
            try:
                with self._limit.until(deadline):
                    connection = self._backend.connect(attempt, deadline)
            except self._backend.driver_error as error:
                failures.append(error)
            else:
                self._last = attempt["host"], str(attempt["port"])
                if failures:
                    _log.warning("%s", _report(attempts, failures))
                return connection
        # Of the last one's kind, whose number or code says what to do.
        last = failures[-1]
        raise type(last)(*last.args[:-1], _report(attempts, failures)) from None

    def _attempts(self, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the options for each host, in the order to try them."""
        hosts = list(zip(options["host"].split(","), options["port"].split(","), strict=True))
        balance = options.get("load_balance_hosts") == "random"
        if balance:
            shuffle(hosts)
        else:
            hosts.sort(key=lambda host: host != self._last)
        targets = [options.get(TARGET)]
        if targets == ["prefer-standby"]:
            targets = ["standby", "any"]
        common = {name: value for name, value in options.items() if name != "load_balance_hosts"}
        for target in targets:
            for host, port in hosts:
                yield {**common, "host": host, "port": int(port), TARGET: target}


def _report(attempts: list[dict[str, Any]], failures: list[Exception]) -> str:
    """Return why the first hosts were passed over, and the name of the next."""
    names = [f"{attempt['host']}:{attempt['port']}" for attempt in attempts]
    said = [f"{name}: {_reason(error)}" for name, error in zip(names, failures, strict=False)]
    return "; ".join([*said, *(f"connected to {name}" for name in names[len(said) :][:1])])


def _reason(error: Exception) -> str:
    text = str(error.args[-1]) if error.args else type(error).__name__
    # libpq names the server once more.
    return text.strip().splitlines()[0].rpartition(" failed: ")[2]
