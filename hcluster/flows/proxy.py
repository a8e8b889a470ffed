"""The way to the web pages of a cluster: its master's SSH session, which leads to its own nodes and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hcluster.errors import DeniedError, UnreachableError
from hcluster.flows.context import Context
from hcluster.flows.reach import alive, master
from hcluster.model.names import PLATFORM_CLUSTER
from hcluster.model.node import Instance
from hcluster.ports import Remote

LOOK_AGAIN_SECONDS = 5.0
"""So often, at most, EC2 is asked again whether a name that is not known is that of a new node."""

KNOWN_SECONDS = 60.0
"""So long what EC2 said is good: the address of a node that was lost may be another cluster's by then."""

MASTER_PAGES: Mapping[str, tuple[int, str]] = {
    "yarn": (8088, "/cluster"),
    "hdfs": (9870, "/"),
    "hive": (10002, "/hiveserver2.jsp"),
    # Tez runs what Hive plans, and shows nothing itself: its applications' links on YARN's page lead there, too.
    "tez": (10002, "/hiveserver2.jsp"),
    "history": (19888, "/jobhistory"),
}
"""Port and path of each page of the master; they link to those of the workers (8042, 9864)."""


@dataclass(frozen=True, slots=True)
class Page:
    """A web page of the cluster."""

    name: str
    host: str
    """Private address of its node."""
    port: int
    url: str
    """As the cluster's own nodes, and whoever is behind the proxy, open it."""


def pages(name: str, node: Instance) -> tuple[Page, ...]:
    """What the master of a cluster serves; the platform's node has no pages. Pure."""
    if name == PLATFORM_CLUSTER:
        return ()
    host = node.private_dns or node.private_ip
    return tuple(
        Page(what, node.private_ip, port, f"http://{host}:{port}{path}") for what, (port, path) in MASTER_PAGES.items()
    )


class Gate:
    """Opens channels to the cluster's nodes through its master; safe to use by several threads at once."""

    def __init__(self, ctx: Context, name: str) -> None:
        """Look the nodes up; the session is opened when it is needed.

        Raises:
            NotFoundError: there is no such cluster, or it has lost its master.
        """
        self._ctx = ctx
        self._name = name
        self._lock = threading.Lock()
        self.master = master(ctx, name)
        self._nodes = _by_name(alive(ctx, name))
        self._looked = ctx.clock.now()
        self._remote: Remote | None = None
        self._closed = False

    def channel(self, host: str, port: int) -> object:
        """A channel to a port of one of the nodes, named by address or DNS name.

        Raises:
            DeniedError: it is none of them.
            UnreachableError: nothing listens there, or the master does not answer any more.
        """
        node = self._node(host)
        remote = self.ensure()
        try:
            return remote.open_channel(node.private_ip, port)
        except UnreachableError:
            if remote.alive():
                raise
        return self.ensure().open_channel(node.private_ip, port)

    def ensure(self) -> Remote:
        """The session, opened when there is none, or when it was lost.

        Raises:
            NotFoundError: the cluster or its master is gone.
            UnreachableError: the master does not answer, or the gate was closed.
        """
        with self._lock:
            if self._closed:
                raise UnreachableError(f"the way to cluster {self._name} was closed")
            if self._remote is not None and not self._remote.alive():
                self._remote.close()
                self._remote = None
                self.master = master(self._ctx, self._name)
            if self._remote is None:
                self._remote = self._ctx.connector.connect(self.master, self._name)
            return self._remote

    def close(self) -> None:
        """End the session and all channels; safe to repeat."""
        with self._lock:
            self._closed = True
            if self._remote is not None:
                self._remote.close()

    def _node(self, host: str) -> Instance:
        wanted = host.lower().rstrip(".")
        with self._lock:
            age = self._ctx.clock.now() - self._looked
            if age >= (KNOWN_SECONDS if wanted in self._nodes else LOOK_AGAIN_SECONDS):
                self._looked = self._ctx.clock.now()
                self._nodes = _by_name(alive(self._ctx, self._name))
            found = self._nodes.get(wanted)
        if found is None:
            raise DeniedError(
                f"{host} is no node of cluster {self._name}",
                hint=f"only its own nodes are reached this way; `hcluster nodes {self._name}` lists them",
                reference="not-in-cluster",
            )
        return found


def _by_name(nodes: list[Instance]) -> dict[str, Instance]:
    names: dict[str, Instance] = {}
    for node in nodes:
        for name in (node.private_ip, node.private_dns, node.private_dns.split(".")[0]):
            if name:
                names[name.lower()] = node
    return names
