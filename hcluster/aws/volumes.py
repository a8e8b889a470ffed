"""EBS volumes: those that outlive their instances, and deleting what is left of others."""

from __future__ import annotations

from collections.abc import Mapping

from hcluster.aws.launch import DEVICES
from hcluster.aws.part import Part, Record, carries, demand_tags, tag_filters, tag_specifications
from hcluster.errors import ConflictError, NotFoundError
from hcluster.model.volume import Volume

GOING = ("deleting", "deleted")


class Volumes(Part):
    """Volumes that carry our tags."""

    def find_volumes(self, tags: Mapping[str, str]) -> list[Volume]:
        """Volumes that carry all ``tags`` (all pages), by id; those that are being deleted are left out. One that was
        made a moment ago may not be among them yet."""
        found = [_volume(record) for record in self._records(tags) if record["State"] not in GOING]
        return sorted(found, key=lambda one: one.id)

    def create_volume(self, *, size_gib: int, zone: str, client_token: str, tags: Mapping[str, str]) -> Volume:
        """Create an encrypted gp3 volume, with its tags in the same call. The same ``client_token`` again gives the
        same volume, ConflictError when it was used with other arguments. Raises CapacityError when a quota is used
        up."""
        with self._session.call(f"creating a volume of {size_gib} GiB in {zone}"):
            answer = self._ec2().create_volume(
                AvailabilityZone=zone,
                Size=size_gib,
                VolumeType="gp3",
                Encrypted=True,
                ClientToken=client_token,
                TagSpecifications=tag_specifications(tags, "volume"),
            )
        return _volume(answer)

    def attach_volume(self, volume: str, instance: str) -> None:
        """Attach an available volume to a running instance as ``/dev/sdf``; it stays when the instance ends. Attached
        there already is no error. Raises ConflictError when another instance has it, NotFoundError when either does not
        exist, and CloudError when the instance does not run yet or is in another zone."""
        try:
            with self._session.call(f"attaching volume {volume} to {instance}"):
                self._ec2().attach_volume(VolumeId=volume, InstanceId=instance, Device=DEVICES[0])
        except ConflictError:
            # VolumeInUse does not say whose it is.
            if self._holder(volume) != instance:
                raise

    def delete_volumes(self, tags: Mapping[str, str]) -> int:
        """Delete available volumes with ``tags``; how many."""
        demand_tags(tags, "deleting volumes")
        free = [str(record["VolumeId"]) for record in self._records(tags, status="available")]
        return sum(self._delete_volume(volume) for volume in free)

    def _records(self, tags: Mapping[str, str], status: str = "") -> list[Record]:
        filters = tag_filters(tags) + ([{"Name": "status", "Values": [status]}] if status else [])
        found = self._pages("listing volumes", "describe_volumes", "Volumes", Filters=filters)
        return [record for record in found if carries(record, tags)]

    def _holder(self, volume: str) -> str:
        found = self._pages(f"looking at volume {volume}", "describe_volumes", "Volumes", VolumeIds=[volume])
        held = [_volume(record) for record in found]
        return held[0].holder if held and held[0].attachment in ("attaching", "attached") else ""

    def _delete_volume(self, volume: str) -> bool:
        try:
            with self._session.call(f"deleting volume {volume}"):
                self._ec2().delete_volume(VolumeId=volume)
        except NotFoundError:
            return False
        return True


def _volume(record: Record) -> Volume:
    attached = [one for one in record.get("Attachments") or [] if one.get("State") != "detached"]
    return Volume(
        id=str(record["VolumeId"]),
        state=str(record["State"]),
        size_gib=int(record["Size"]),
        zone=str(record["AvailabilityZone"]),
        holder=str(attached[0]["InstanceId"]) if attached else "",
        attachment=str(attached[0].get("State") or "attached") if attached else "",
    )
