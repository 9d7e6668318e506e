"""Three MariaDB servers on this machine that are one Galera cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from _programs import UNPACKED, Program, find_mysql, is_mariadb

NODES: Final = 3
LIBRARY: Final = Path("usr/lib/galera/libgalera_smm.so")


def find_library() -> Path | None:
    """Return Galera's library, the unpacked or the installed one."""
    places = (UNPACKED / LIBRARY, Path("/") / LIBRARY)
    return next((file for file in places if file.is_file()), None)


def find_galera() -> Program | None:
    """Return MariaDB's server program, where Galera's library is there too."""
    program = find_mysql()
    return program if program and find_library() and is_mariadb(program) else None


def is_synced(log: Path) -> bool:
    """Return whether a node has all that the others have, and takes connections."""
    text = log.read_bytes()
    return b"Synchronized with group" in text and b"ready for connections" in text


def node_options(number: int, ports: list[int], folder: Path) -> list[str]:
    """Return the options that make a server a node of the cluster.

    Args:
        number: the node's, from 0; the first one founds the cluster.
        ports: three for each node: of the group, for missed writes, and for a whole copy.
        folder: the node's.
    """
    group, missed, copy = ports[3 * number : 3 * number + 3]
    members = ",".join(f"127.0.0.1:{port}" for port in ports[::3])
    provider = {
        "gmcast.listen_addr": f"tcp://127.0.0.1:{group}",
        "ist.recv_addr": f"127.0.0.1:{missed}",
        "gcache.size": "32M",
        "gcache.dir": str(folder),
    }
    return [
        *(["--wsrep-new-cluster"] if number == 0 else []),
        "--wsrep-on=ON",
        f"--wsrep-provider={find_library()}",
        f"--wsrep-cluster-address=gcomm://{members}",
        f"--wsrep-node-name=node{number}",
        f"--wsrep-node-address=127.0.0.1:{group}",
        "--wsrep-provider-options=" + ";".join(f"{k}={v}" for k, v in provider.items()),
        "--wsrep-sst-method=rsync",
        f"--wsrep-sst-receive-address=127.0.0.1:{copy}",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        "--loose-wsrep-slave-threads=2",
    ]


def start_nodes(
    home: Any, free_port: Callable[[], int], start_node: Callable[[Any, list[str]], str]
) -> str:
    """Start the nodes, one after the other; return their URLs, separated by blanks.

    Args:
        home: the cluster's folder.
        free_port: returns a port that nobody listens on.
        start_node: starts a server in a folder with more options; returns its URL.
    """
    ports = [free_port() for _ in range(3 * NODES)]
    homes = [home.part(f"node{number}") for number in range(NODES)]
    return " ".join(
        start_node(node, node_options(number, ports, node.folder))
        for number, node in enumerate(homes)
    )
