"""All fakes of one cloud, joined."""

from __future__ import annotations

from collections.abc import Mapping

from hcluster.testing.account import InMemoryAccount
from hcluster.testing.catalog import InMemoryCatalog
from hcluster.testing.clock import ManualClock
from hcluster.testing.compute import InMemoryCompute
from hcluster.testing.images import InMemoryImages
from hcluster.testing.objects import InMemoryCheckIns, InMemoryObjectStore
from hcluster.testing.prices import InMemoryPrices
from hcluster.testing.probes import Probe, Probed, no_probe
from hcluster.testing.remote import FakeConnector, Responder, answers_nothing
from hcluster.testing.script import Scripts, every_node_gets_ready


class FakeCloud:
    """An account with one bucket (not made yet), no images and a default VPC.

    ``probe`` watches every call of every port; see ``hcluster.testing.probes.CrashPoint`` for one that cuts a flow off,
    and ``watch`` for going on with what it left.
    """

    def __init__(
        self,
        bucket: str = "hcluster-test",
        *,
        scripts: Scripts = every_node_gets_ready,
        responder: Responder = answers_nothing,
        subnets: Mapping[str, str] | None = None,
        probe: Probe = no_probe,
    ) -> None:
        self.clock = ManualClock()
        self.images = InMemoryImages(self.clock, probe=probe)
        self.store = InMemoryObjectStore(bucket, self.clock, probe=probe)
        self.compute = InMemoryCompute(
            self.clock, self.images, self.store, scripts=scripts, subnets=subnets, probe=probe
        )
        self.account = InMemoryAccount(self.compute, self.store, probe=probe)
        self.prices = InMemoryPrices(self.clock, probe=probe)
        self.checkins = InMemoryCheckIns(self.store, probe=probe)
        self.connector = FakeConnector(self.checkins, responder=responder, probe=probe)
        self.catalog = InMemoryCatalog(probe=probe)

    @property
    def calls(self) -> int:
        """How many calls all ports have taken."""
        return sum(len(port.calls) for port in self._ports())

    def watch(self, probe: Probe) -> None:
        """Let another probe watch from now on, such as none after a crash: the cloud itself lives on."""
        for port in self._ports():
            port.probe = probe

    def _ports(self) -> tuple[Probed, ...]:
        clouds = (self.images, self.store, self.compute, self.account, self.prices)
        return *clouds, self.checkins, self.connector, self.catalog
