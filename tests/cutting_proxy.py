"""A proxy before a database server that counts round trips, cuts connections or stalls them."""

import re
import socket
import threading
from contextlib import suppress

from sqlalchemy.engine import make_url

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.manager import DatabaseManager

COMMIT = re.compile(rb"\bCOMMIT\b")
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306}


class CuttingProxy:
    """Forwards connections to the server of a manager until it is told to cut them.

    Attributes:
        trips: how often a client waited for an answer.
        at_commit: what happens to the next COMMIT: ``None`` forwards it, ``lose`` cuts the
            connection in place of forwarding it, ``answer`` cuts it once the server has answered.
        is_down: refuses new connections.
        flows: while it is not set, what is sent is acknowledged and not forwarded.
        trickles: forward a byte each 50 ms then, in place of nothing.
        sent: how many packets came then.
        url: the URL that leads through the proxy.
    """

    def __init__(self, manager: DatabaseManager) -> None:
        url = make_url(manager.config.url)
        port = url.port or DEFAULT_PORTS[manager.dialect.value]
        self._target = (url.host or "127.0.0.1", port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.trips = 0
        self.at_commit: str | None = None
        self.is_down = False
        self.flows = threading.Event()
        self.flows.set()
        self.trickles = False
        self.sent = 0
        here = url.set(host="127.0.0.1", port=self._server.getsockname()[1])
        if manager.config.is_mysql:  # MySQL turns TLS on by itself, and COMMIT could not be seen
            here = here.update_query_dict({"ssl_disabled": "true"})
        self.url = here.render_as_string(hide_password=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def manager(self, of: DatabaseManager, **config: float) -> DatabaseManager:
        """A manager whose connections go through the proxy."""
        return DatabaseManager(DatabaseConfig(self.url, **config), keyring=of.keyring)

    def cut(self) -> None:
        """Cut every connection now."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            close(one)

    def close(self) -> None:
        """End the proxy."""
        self.flows.set()
        close(self._server)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.is_down:
                close(client)
                continue
            server = socket.create_connection(self._target)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            pair = _Pair(self, client, server)
            threading.Thread(target=pair.to_server, daemon=True).start()
            threading.Thread(target=pair.to_client, daemon=True).start()


class _Pair:
    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cut_at_answer = False
        self._is_answered = True

    def to_server(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65536):
                if COMMIT.search(data) and self._proxy.at_commit:
                    what, self._proxy.at_commit = self._proxy.at_commit, None
                    if what == "lose":
                        break
                    self._cut_at_answer = True
                self._proxy.trips += self._is_answered
                self._is_answered = False
                self._forward(data, self._server)
        self._end()

    def to_client(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._cut_at_answer:
                    break
                self._is_answered = True
                self._forward(data, self._client)
        self._end()

    def _forward(self, data: bytes, target: socket.socket) -> None:
        flows = self._proxy.flows
        self._proxy.sent += not flows.is_set()
        while self._proxy.trickles and data and not flows.wait(0.05):
            target.sendall(data[:1])
            data = data[1:]
        flows.wait()
        target.sendall(data)

    def _end(self) -> None:
        close(self._client)
        close(self._server)


def close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
