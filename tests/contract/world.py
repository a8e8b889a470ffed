"""What the contract's tests need of a cloud beyond its ports, and how the in-memory one gives it."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hcluster.model.launch import Disk, FleetRequest, FleetResult, TemplateRequest
from hcluster.model.node import Market
from hcluster.ports import Account, CheckIns, Clock, Compute, Images, ObjectStore, Prices
from hcluster.testing import FakeCloud, InMemoryObjectStore
from hcluster.testing.identity import Profile
from hcluster.testing.volumes import Volume

_NUMBERS = itertools.count(1)
TYPES = ("m5.large", "m5.xlarge")
SUBNETS = {
    "subnet-a": "10.64.16.0/20",
    "subnet-b": "10.64.32.0/20",
    "subnet-small": "10.64.240.0/28",
}


class World(ABC):
    """One test's view of a cloud; its names and tags are used by no other test."""

    compute: Compute
    account: Account
    prices: Prices
    images: Images
    store: ObjectStore
    checkins: CheckIns
    clock: Clock
    small_subnet: str
    """A /28: eleven addresses for use, no other test's in it."""
    base_owner: str
    base_pattern: str
    newest_base: str
    """Owner, name pattern and newest id of the images that bakes start from; there are two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"contract-{next(_NUMBERS)}"
        self.tags = {"hcluster:platform": self.name}

    @abstractmethod
    def foreign_store(self) -> ObjectStore:
        """The adapter of a bucket that belongs to another account."""

    @abstractmethod
    def register_image(self, name: str, tags: Mapping[str, str]) -> str:
        """What baking leaves; the image's id."""

    @abstractmethod
    def leave_volume(self, tags: Mapping[str, str]) -> None:
        """A volume of no instance."""

    @abstractmethod
    def foreign_profile(self, name: str, tags: Mapping[str, str]) -> None:
        """A role and its instance profile with exactly these tags."""

    def clean(self) -> None:
        """Remove what the test left, so that others find addresses and a fast API."""
        self.compute.terminate([one.id for one in self.compute.instances(self.tags)])

    def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Let time pass until ``holds``."""
        end = self.clock.now() + seconds
        while not holds():
            assert self.clock.now() < end, "it never came to hold"
            self.clock.sleep(0.05)

    # Shorthands of what nearly every test needs first

    def group(self, name: str = "team") -> str:
        """A security group of the default VPC."""
        vpc, _, _ = self.vpc()
        return self.compute.ensure_security_group(
            f"hcluster-{self.name}-{name}", vpc=vpc, allow_from={}, allow_cidrs=(), tags=self.tags
        )

    def vpc(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The default network."""
        found = self.compute.default_network()
        assert found is not None
        return found

    def places(self) -> tuple[str, ...]:
        """Subnets of the default network, one of each zone and none of them small."""
        zones = self.compute.subnet_zones([one for one in self.vpc()[2] if one != self.small_subnet])
        return tuple({zone: subnet for subnet, zone in zones.items()}.values())

    def template(
        self,
        name: str = "core",
        *,
        image: str = "",
        interface: str = "",
        user_data: str = "{}",
        tags: Mapping[str, str] | None = None,
        disks: tuple[Disk, ...] = (),
    ) -> str:
        """A launch template with everything that it needs."""
        profile = self.compute.ensure_instance_profile(f"hcluster-{self.name}", POLICY, tags=self.tags)
        return self.compute.ensure_template(
            TemplateRequest(
                name=f"hcluster-{self.name}-{name}",
                image=image or self.register_image(f"{self.name}-{name}", self.tags),
                instance_profile=profile,
                security_groups=(self.group(),),
                user_data=user_data,
                tags={**self.tags, **(tags or {})},
                interface=interface,
                disks=disks,
            )
        )

    def fleet(
        self,
        template: str,
        count: int = 1,
        *,
        attempt: str = "first",
        types: Sequence[str] = TYPES,
        subnets: Sequence[str] | None = None,
        market: Market = "on-demand",
        tags: Mapping[str, str] | None = None,
    ) -> FleetResult:
        """Launch ``count`` nodes."""
        return self.compute.create_fleet(
            FleetRequest(
                template=template,
                count=count,
                types=tuple(types),
                subnets=self.places() if subnets is None else tuple(subnets),
                market=market,
                client_token=f"{self.name}-{attempt}",
                tags={**self.tags, **(tags or {})},
            )
        )

    def terminate_all(self) -> None:
        """End everything and wait for it."""
        self.compute.terminate([one.id for one in self.compute.instances(self.tags)])
        self.until(
            lambda: all(one.state == "terminated" for one in self.compute.instances(self.tags, alive_only=False))
        )


POLICY: Mapping[str, object] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}


class MemoryWorld(World):
    """``hcluster.testing``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cloud = FakeCloud(f"bucket-{self.name}", subnets=SUBNETS)
        self.compute = self.cloud.compute
        self.account = self.cloud.account
        self.prices = self.cloud.prices
        self.images = self.cloud.images
        self.store = self.cloud.store
        self.checkins = self.cloud.checkins
        self.clock = self.cloud.clock
        self.small_subnet = "subnet-small"
        self.base_owner = "136693071363"
        self.base_pattern = "debian-12-amd64-*"
        for month in ("01", "02"):
            base = self.cloud.images.register(f"debian-12-amd64-2026{month}01-local", owner=self.base_owner)
        self.newest_base = base.id

    def foreign_store(self) -> ObjectStore:
        """The adapter of a bucket that belongs to another account."""
        return InMemoryObjectStore("foreign", self.clock, foreign=True)

    def register_image(self, name: str, tags: Mapping[str, str]) -> str:
        """What baking leaves; the image's id."""
        return self.cloud.images.register(name, tags).id

    def leave_volume(self, tags: Mapping[str, str]) -> None:
        """A volume of no instance."""
        identity = self.cloud.compute.new_id("vol")
        self.cloud.compute.volumes[identity] = Volume(identity, dict(tags))

    def foreign_profile(self, name: str, tags: Mapping[str, str]) -> None:
        """A role and its instance profile with exactly these tags."""
        self.cloud.compute.profiles[name] = Profile(POLICY, dict(tags))
