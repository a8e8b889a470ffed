"""What an account grants and how a bucket is kept: facts that ``doctor`` judges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """How one bucket is kept."""

    region: str
    """Where it lies; "" when the caller may not ask."""
    encrypted: bool
    """Whether new objects are encrypted without being asked for it."""
    public_blocked: bool
    """Whether all four blocks of public access are on."""
    public_policy: bool
    """Whether its policy lets anybody in."""


@dataclass(frozen=True, slots=True)
class SubnetFacts:
    """What one subnet offers to a node."""

    id: str
    zone: str
    free_addresses: int
    way_out: bool
    """Whether its routes lead to S3: through an endpoint, a gateway or any default route."""


@dataclass(frozen=True, slots=True)
class VcpuQuota:
    """Virtual CPUs that the standard families (A, C, D, H, I, M, R, T, Z) may have in one market."""

    market: str
    """"on-demand" or "spot"."""
    limit: int
    used: int

    @property
    def left(self) -> int:
        """What may still be launched."""
        return max(self.limit - self.used, 0)
