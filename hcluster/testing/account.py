"""The fake cloud's account: what tests set is what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcluster.errors import NotFoundError
from hcluster.model.account import BucketFacts, SubnetFacts, VcpuQuota
from hcluster.testing.compute import InMemoryCompute
from hcluster.testing.objects import InMemoryObjectStore
from hcluster.testing.probes import Probe, Probed, no_probe, probed

VCPUS: Mapping[str, int] = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
"""Virtual CPUs by size, as the general purpose families have them."""
DEFAULT_LIMIT = 64
FREE_ADDRESSES = 4091


class InMemoryAccount(Probed):
    """Implements ``hcluster.ports.Account`` beside the other fakes."""

    port = "account"

    def __init__(self, compute: InMemoryCompute, store: InMemoryObjectStore, *, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self._compute = compute
        self._store = store
        self.denied: set[str] = set()
        """Actions that IAM would refuse."""
        self.offset = 0.0
        self.public_policy = False
        self.encrypted = True
        self.shut: set[str] = set()
        """Subnets without a route to S3."""
        self.limits = {"on-demand": DEFAULT_LIMIT, "spot": DEFAULT_LIMIT}

    @probed
    def refused(self, actions: Sequence[str], resources: Sequence[str], context: Mapping[str, str]) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """Those of ``actions`` that IAM would refuse the caller."""
        return tuple(action for action in actions if action in self.denied)

    @probed
    def clock_offset(self) -> float:
        """Seconds by which this machine's clock is ahead."""
        return self.offset

    @probed
    def bucket(self, name: str) -> BucketFacts:
        """How a bucket is kept. Raises NotFoundError."""
        if name != self._store.bucket or not self._store.exists():
            raise NotFoundError(f"no bucket {name}", hint="run `hcluster platform up`")
        region = self._compute.region()
        return BucketFacts(region, self.encrypted, public_blocked=True, public_policy=self.public_policy)

    @probed
    def subnets(self, subnets: Sequence[str]) -> list[SubnetFacts]:
        """What subnets offer. Raises NotFoundError."""
        zones = self._compute.subnet_zones(subnets)
        return [SubnetFacts(one, zones[one], FREE_ADDRESSES, one not in self.shut) for one in subnets]

    @probed
    def vcpu_quotas(self) -> list[VcpuQuota]:
        """Quota and use of virtual CPUs, by market."""
        used = dict.fromkeys(self.limits, 0)
        for one in self._compute.instances({}):
            used[one.market] += _vcpus(one.type)
        return [VcpuQuota(market, limit, used[market]) for market, limit in self.limits.items()]

    @probed
    def vcpus(self, types: Sequence[str]) -> dict[str, int]:
        """Virtual CPUs of each instance type. Raises NotFoundError for an unknown type."""
        return {one: _vcpus(one) for one in types}


def _vcpus(instance_type: str) -> int:
    size = instance_type.partition(".")[2]
    if size not in VCPUS:
        raise NotFoundError(f"no instance type {instance_type}")
    return VCPUS[size]
