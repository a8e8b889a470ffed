"""The firewalls of running nodes: nftables in each node's own network namespace, told only what changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from hcluster.errors import LocalCloudError
from hcluster.localcloud import firewall
from hcluster.localcloud.firewall import Firewall
from hcluster.localcloud.settings import METADATA_ADDRESS, CloudSettings
from hcluster.localcloud.system import NETNS_FOLDER, in_namespace, run

_LOG = logging.getLogger("hcluster.localcloud")
_PARALLEL = 4


class NodeFirewalls:
    """What passes to and from each node. Methods may be called from any thread.

    ``namespace`` gives the name of a node's network namespace; where there is none, nothing is told.
    """

    def __init__(self, settings: CloudSettings, namespace: Callable[[str], str]) -> None:
        self._services = (settings.gateway, METADATA_ADDRESS)
        self._namespace = namespace
        self._wanted: Mapping[str, Firewall] | None = None
        self._members: Mapping[str, tuple[str, ...]] = {}
        self._cut: set[str] = set()
        self._told: dict[str, str] = {}
        self._guard = threading.Lock()
        self._telling = threading.Lock()

    def enforce(self, firewalls: Mapping[str, Firewall]) -> None:
        """Let packets pass by these firewalls, by instance id; a node whose rules are the same is left alone."""
        with self._telling:
            with self._guard:
                self._wanted = dict(firewalls)
                self._members = firewall.members(firewalls.values())
                stale = [one for one, told in self._told.items() if self._ruleset(one) != told]
            if stale:
                with ThreadPoolExecutor(_PARALLEL, "firewall") as pool:
                    list(pool.map(self._refresh, stale))

    def begin(self, instance_id: str) -> None:
        """Close a node's new namespace, and open what its groups allow; all is open until the first ``enforce``.

        Raises:
            LocalCloudError: the kernel refused.
        """
        with self._guard:
            ruleset = "" if self._wanted is None else self._ruleset(instance_id)
            self._told[instance_id] = ruleset
        if ruleset:
            self._tell(instance_id, ruleset)

    def end(self, instance_id: str) -> None:
        """Its namespace is gone; a partition stays for the next one."""
        with self._guard:
            self._told.pop(instance_id, None)

    def forget(self, instance_id: str) -> None:
        """The node is gone for good."""
        self.end(instance_id)
        with self._guard:
            self._cut.discard(instance_id)

    def partition(self, instance_id: str) -> None:
        """Drop all packets from and to a node."""
        with self._guard:
            self._cut.add(instance_id)
        self._refresh(instance_id)

    def heal(self, instance_id: str) -> None:
        """Let its packets pass again."""
        with self._guard:
            self._cut.discard(instance_id)
        self._refresh(instance_id)

    def _ruleset(self, instance_id: str) -> str:
        wanted = (self._wanted or {}).get(instance_id)
        if wanted is None or instance_id in self._cut:
            return firewall.closed()
        return firewall.render(wanted, self._members, self._services)

    def _refresh(self, instance_id: str) -> None:
        with self._guard:
            if instance_id not in self._told:
                return
            ruleset = self._ruleset(instance_id)
            self._told[instance_id] = ruleset
        try:
            self._tell(instance_id, ruleset)
        except (LocalCloudError, OSError) as failure:
            with self._guard:
                # Told again at the next change, unless the node ended meanwhile.
                if self._told.get(instance_id) == ruleset:
                    self._told[instance_id] = ""
            if (NETNS_FOLDER / self._namespace(instance_id)).exists():
                _LOG.error("the firewall of %s could not be changed: %s", instance_id, failure)

    def _tell(self, instance_id: str, ruleset: str) -> None:
        in_namespace(self._namespace(instance_id), lambda: run(["nft", "-f", "-"], stdin=ruleset))
