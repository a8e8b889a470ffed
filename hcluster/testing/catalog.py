"""The shared metastore in memory."""

from __future__ import annotations

from hcluster.errors import UnreachableError
from hcluster.ports import Remote
from hcluster.testing.probes import Probe, Probed, no_probe, probed


class InMemoryCatalog(Probed):
    """Implements ``hcluster.ports.Catalog``. ``reachable`` False is a metastore that does not answer."""

    port = "catalog"

    def __init__(self, *, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self.reachable = True
        self.registries: set[tuple[str, str]] = set()
        """(metastore, bucket) of every registry that was made."""
        self.dumps = 0
        """How many dumps nodes were asked for."""

    @probed
    def dump(self, remote: Remote) -> None:
        """Count it; the bucket of a node is not this one."""
        del remote
        self.dumps += 1

    @probed
    def ensure_registry(self, remote: Remote, uri: str, bucket: str) -> None:
        """Make the registry's table. Raises UnreachableError."""
        del remote
        if not self.reachable:
            raise UnreachableError(f"no metastore answers at {uri}")
        self.registries.add((uri, bucket))
