"""The fake cloud's caller and instance profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hcluster.ports import Clock
from hcluster.testing.network import InMemoryNetwork, demand_tags
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
        """Create or adopt role and instance profile of that name, with exactly ``policy`` inline. Returns the name."""
        known = self.profiles.get(name)
        self.profiles[name] = Profile(dict(policy), known.tags if known else dict(tags))
        return name

    @probed
    def delete_instance_profiles(self, tags: Mapping[str, str]) -> int:
        """Delete roles and profiles whose name starts with ``hcluster-`` and which carry ``tags``; how many."""
        demand_tags(tags)
        doomed = [
            name for name, one in self.profiles.items() if name.startswith(PREFIX) and tags.items() <= one.tags.items()
        ]
        for name in doomed:
            del self.profiles[name]
        return len(doomed)
