"""The fake cloud's caller and instance profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hcluster.errors import ConflictError
from hcluster.model.names import TAG_REGION
from hcluster.ports import Clock
from hcluster.testing.network import InMemoryNetwork, demand_own, demand_tags
from hcluster.testing.probes import Probe, no_probe, probed

ACCOUNT = "123456789012"
PREFIX = "hcluster-"


@dataclass(frozen=True, slots=True)
class Profile:
    """Role and instance profile of one name."""

    policy: Mapping[str, object]
    tags: Mapping[str, str]


class InMemoryIdentity(InMemoryNetwork):
    """The part of ``hcluster.ports.Compute`` that is about STS and IAM."""

    def __init__(self, clock: Clock, *, subnets: Mapping[str, str] | None = None, probe: Probe = no_probe) -> None:
        super().__init__(clock, subnets=subnets, probe=probe)
        self.profiles: dict[str, Profile] = {}

    @probed
    def caller(self) -> tuple[str, str]:
        """(account id, ARN) of the caller."""
        return ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/tester"

    @probed
    def ensure_instance_profile(self, name: str, policy: Mapping[str, object], *, tags: Mapping[str, str]) -> str:
        """Create or adopt role and instance profile of that name, with exactly ``policy`` inline. Returns the name.

        Raises:
            ConflictError: it is another platform's, or that of the platform of the same name in another region.
        """
        known = self.profiles.get(name)
        own = {**tags, TAG_REGION: self.region()}
        if known:
            demand_own(known.tags, tags, f"role {name}", name)
            own = dict(known.tags)
            if self._home(known) != self.region():
                raise ConflictError(
                    f"role {name} exists and belongs to the platform of the same name in {self._home(known)}",
                    hint="the names of roles are shared by all regions: choose another `name` in platform.yaml",
                )
        self.profiles[name] = Profile(dict(policy), own)
        return name

    @probed
    def delete_instance_profiles(self, tags: Mapping[str, str]) -> int:
        """Delete roles and profiles whose name starts with ``hcluster-`` and which carry ``tags``; how many."""
        demand_tags(tags)
        doomed = [
            name
            for name, one in self.profiles.items()
            if name.startswith(PREFIX) and tags.items() <= one.tags.items() and self._home(one) == self.region()
        ]
        for name in doomed:
            del self.profiles[name]
        return len(doomed)

    def region(self) -> str:
        """The region's name."""
        return "us-east-1"

    def _home(self, profile: Profile) -> str:
        return profile.tags.get(TAG_REGION) or self.region()
