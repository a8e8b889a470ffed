"""The fake cloud's volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hcluster.errors import CloudError, ConflictError, NotFoundError, UsageError
from hcluster.model import volume as model
from hcluster.ports import Clock
from hcluster.testing.identity import InMemoryIdentity
from hcluster.testing.network import demand_tags
from hcluster.testing.probes import Probe, no_probe, probed

CREATING_SECONDS = 2.0
ATTACHING_SECONDS = 1.0


@dataclass(slots=True)
class Volume:
    """A volume; ``holder`` is the instance that has it, "" when it is available."""

    id: str
    tags: Mapping[str, str]
    holder: str = ""
    size_gib: int = 1
    zone: str = ""
    own: bool = False
    """Made by ``create_volume`` and not by a launch, so that it outlives its instance."""
    created: float = 0.0
    attached: float = 0.0
    """When it is ready and attached, by the cloud's clock."""


class InMemoryVolumes(InMemoryIdentity):
    """The part of ``hcluster.ports.Compute`` that is about volumes."""

    def __init__(self, clock: Clock, *, subnets: Mapping[str, str] | None = None, probe: Probe = no_probe) -> None:
        super().__init__(clock, subnets=subnets, probe=probe)
        self.volumes: dict[str, Volume] = {}
        self._volume_tokens: dict[str, tuple[object, Volume]] = {}

    @probed
    def find_volumes(self, tags: Mapping[str, str]) -> list[model.Volume]:
        """Volumes that carry all ``tags``, by id."""
        found = [self._told(one) for one in self.volumes.values() if tags.items() <= one.tags.items()]
        return sorted(found, key=lambda one: one.id)

    @probed
    def create_volume(self, *, size_gib: int, zone: str, client_token: str, tags: Mapping[str, str]) -> model.Volume:
        """Create a volume with its tags. The same ``client_token`` again gives the same one, ConflictError when it was
        used with other arguments."""
        if size_gib < 1:
            raise UsageError(f"a volume of {size_gib} GiB")
        asked = (size_gib, zone, tuple(sorted(tags.items())))
        known = self._volume_tokens.get(client_token)
        if known and known[0] != asked:
            raise ConflictError("the client token was used with other arguments (IdempotentParameterMismatch)")
        # As with EC2, the same token brings back the same volume, even one that was deleted meanwhile.
        made = known[1] if known else self._make_volume(size_gib, zone, tags)
        self._volume_tokens[client_token] = (asked, made)
        return self._told(made)

    @probed
    def attach_volume(self, volume: str, instance: str) -> None:
        """Attach an available volume to a running instance; attached there already is no error. Raises ConflictError
        when another instance has it, NotFoundError when either does not exist, CloudError when the instance does not
        run or is in another zone."""
        found = self.volumes.get(volume)
        if found is None:
            raise NotFoundError(f"no volume {volume} (InvalidVolume.NotFound)")
        state, zone = self.whereabouts(instance)
        if found.holder == instance:
            return
        if found.holder:
            raise ConflictError(f"{volume} is already attached to an instance (VolumeInUse)")
        if self._told(found).state != "available":
            raise CloudError(f"{volume} is not 'available' (IncorrectState)")
        if state != "running":
            raise CloudError(f"instance {instance} is not 'running' (IncorrectState)")
        if zone != found.zone:
            raise CloudError(f"{volume} is in {found.zone}, {instance} in {zone} (InvalidVolume.ZoneMismatch)")
        found.holder, found.attached = instance, self.clock.now() + ATTACHING_SECONDS

    @probed
    def delete_volumes(self, tags: Mapping[str, str]) -> int:
        """Delete available volumes with ``tags``; how many."""
        demand_tags(tags)
        doomed = [one.id for one in self.volumes.values() if tags.items() <= one.tags.items() and not one.holder]
        for identity in doomed:
            del self.volumes[identity]
        return len(doomed)

    def whereabouts(self, instance: str) -> tuple[str, str]:
        """(state, zone) of an instance. Raises NotFoundError."""
        raise NotImplementedError

    def launch_volume(self, tags: Mapping[str, str], holder: str) -> None:
        """A volume that a launch makes and that ends with its instance."""
        identity = self.new_id("vol")
        self.volumes[identity] = Volume(identity, dict(tags), holder)

    def release_volumes(self, holders: Sequence[str]) -> None:
        """What the end of instances does to their volumes."""
        for one in [one for one in self.volumes.values() if one.holder in holders]:
            one.holder = ""
            if not one.own:
                del self.volumes[one.id]

    def _make_volume(self, size_gib: int, zone: str, tags: Mapping[str, str]) -> Volume:
        identity = self.new_id("vol")
        made = Volume(identity, dict(tags), "", size_gib, zone, own=True, created=self.clock.now() + CREATING_SECONDS)
        self.volumes[identity] = made
        return made

    def _told(self, one: Volume) -> model.Volume:
        """As a listing tells it at this moment."""
        now = self.clock.now()
        attachment = "" if not one.holder else "attached" if now >= one.attached else "attaching"
        state = "in-use" if one.holder else "available" if now >= one.created else "creating"
        return model.Volume(one.id, state, one.size_gib, one.zone, one.holder, attachment)
