"""EBS volumes and snapshots: their records, with real disks behind all but the root volumes.

An instance's root lies in its image's layers, so that its root volume is a record only. Every other volume is a block
device in the instance, and lives as long as EC2 says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from moto.core.utils import utcnow
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.elastic_block_store import Snapshot as _Snapshot
from moto.ec2.models.elastic_block_store import Volume as _Volume
from moto.ec2.models.elastic_block_store import VolumeAttachment as _Attachment
from moto.ec2.utils import random_snapshot_id, random_volume_id

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.launch import Data
from hcluster.localcloud.api.network import Network
from hcluster.localcloud.machines import Disk

MotoVolume: Any = _Volume
MotoSnapshot: Any = _Snapshot
MotoAttachment: Any = _Attachment

SIZES = {
    "gp2": (1, 16384),
    "gp3": (1, 16384),
    "io1": (4, 16384),
    "io2": (4, 65536),
    "st1": (125, 16384),
    "sc1": (125, 16384),
    "standard": (1, 1024),
}
"""GiB, least and most, by type: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html"""
ROOT_GIB = 8
_DEVICE = re.compile(r"(?:/dev/)?(?:sd[b-z][1-9]?|sd[b-z]1[0-5]|xvd[a-z][a-z]?|sd[b-z])")
"""https://docs.aws.amazon.com/ebs/latest/userguide/device_naming.html"""
_MOST_DISKS = 27


class VolumeWork(Protocol):
    """Makes disks follow the records of volumes, in the background."""

    def make(self, volume: Volume) -> None:
        """A volume that is being created becomes available, or an error."""

    def attach(self, volume: Volume) -> None:
        """A volume that is being attached becomes attached, once its instance has it."""

    def detach(self, volume: Volume) -> None:
        """A volume that is being detached becomes available, once nothing in its instance uses it."""

    def grow(self, volume: Volume) -> None:
        """A volume gets the size that its record has."""

    def keep(self, snapshot: Snapshot) -> None:
        """A pending snapshot is completed, or an error."""

    def discard(self, name: str) -> None:
        """The data of a volume or snapshot goes."""


class Volume(MotoVolume):  # type: ignore[misc]
    """A volume with a disk behind it; moto's own class stands for root volumes."""

    condition = "creating"
    """creating, available or error; whether it is in use follows from its attachment."""

    @property
    def status(self) -> str:
        """Its state as EC2 names it."""
        return "in-use" if self.attachment and self.condition != "creating" else self.condition

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """For the filters of DescribeVolumes."""
        if filter_name == "volume-type":
            return self.volume_type
        if filter_name == "attachment.delete-on-termination" and self.attachment:
            return str(self.attachment.delete_on_termination).lower()
        return super().get_filter_value(filter_name, method_name)


class Attachment(MotoAttachment):  # type: ignore[misc]
    """That an instance has a volume. ``status``: attaching, attached, detaching, or busy while it is still in use."""

    def __init__(self, volume: Volume, instance: Any, device: str, number: int) -> None:
        super().__init__(volume, instance, device, "attaching")
        self.number = number

    @property
    def delete_on_termination(self) -> bool:
        """The instance's own setting."""
        mapped = self.instance.block_device_mapping.get(self.device)
        return bool(mapped and mapped.delete_on_termination)


class Snapshot(MotoSnapshot):  # type: ignore[misc]
    """A snapshot with data; moto's own class stands for those of images."""

    def __init__(self, backend: Any, volume: Volume, description: str) -> None:
        super().__init__(backend, random_snapshot_id(), volume, description, encrypted=volume.encrypted)
        self.status = "pending"
        self.size = volume.size

    @property
    def volume_size(self) -> int:
        """That of the volume when it was made."""
        return int(self.size)

    @property
    def progress(self) -> str:
        """In percent."""
        return "100%" if self.status == "completed" else "0%"


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A block device that a launch asks for."""

    device: str
    root: bool
    size: int
    kind: str
    snapshot: str
    delete_on_termination: bool
    settings: Mapping[str, Any] = field(default_factory=dict)


class Volumes(Network):
    """EC2's records of volumes. ``volume_work`` is set by the server that owns it."""

    volume_work: VolumeWork

    # Creating

    def make_volume(self, zone_name: str, wanted: Data) -> Volume:
        """A volume, being created; ``wanted`` in the shape of CreateVolume's request. Raises Fault."""
        zone = next((z for z in self.describe_availability_zones() if z.name == zone_name), None)
        if zone is None:
            raise Fault("InvalidZone.NotFound", f"The zone '{zone_name}' does not exist.")
        kind = str(wanted.get("VolumeType") or "gp2")
        snapshot_id = str(wanted.get("SnapshotId") or "")
        size = self.checked_size(kind, wanted.get("Size"), snapshot_id)
        volume = Volume(
            self,
            volume_id=random_volume_id(),
            size=size,
            zone=zone,
            snapshot_id=snapshot_id or None,
            encrypted=wanted.get("Encrypted") in (True, "true"),
            volume_type=kind,
            iops=wanted.get("Iops") or (3000 if kind == "gp3" else None),
            throughput=wanted.get("Throughput") or (125 if kind == "gp3" else None),
        )
        self.volumes[volume.id] = volume
        return volume

    def checked_size(self, kind: str, size: Any, snapshot_id: str) -> int:
        """GiB of a new volume. Raises Fault for a type, snapshot or size that cannot be."""
        if kind not in SIZES:
            raise Fault("UnknownVolumeType", f"Unsupported volume type '{kind}' for volume creation.")
        held = self.snapshot_of(snapshot_id).volume_size if snapshot_id else 0
        if size is None and not held:
            raise Fault("MissingParameter", "The request must contain the parameter size/snapshot")
        wanted = int(size or held)
        least, most = SIZES[kind]
        if wanted < least:
            text = f"Volume of {wanted}GiB is too small for volume type {kind}; minimum is {least}GiB."
            raise Fault("InvalidParameterValue", text)
        if wanted > most:
            text = f"Volume of {wanted}GiB is too large for volume type {kind}; maximum is {most}GiB."
            raise Fault("InvalidParameterValue", text)
        if wanted < held:
            text = f"Volume of size {wanted}GB is smaller than snapshot '{snapshot_id}', expect size >= {held}GB"
            raise Fault("InvalidParameterValue", text)
        return wanted

    def snapshot_of(self, snapshot_id: str) -> Snapshot:
        """A completed snapshot that has data. Raises Fault."""
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None:
            raise Fault("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
        if not isinstance(snapshot, Snapshot):
            text = f"The snapshot '{snapshot_id}' of an image holds no data in the local cloud."
            raise Fault("UnsupportedOperation", text)
        if snapshot.status != "completed":
            raise Fault("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
        return snapshot

    # Launching

    def mappings(self, data: Data, root: str) -> list[BlockDevice]:
        """What a launch's BlockDeviceMappings ask for, the root first. Raises Fault for what cannot be."""
        asked = {m["DeviceName"]: m for m in data.get("BlockDeviceMappings") or () if m.get("DeviceName")}
        asked = {root: asked.get(root, {"Ebs": {"VolumeSize": ROOT_GIB}})} | asked
        found = []
        for device, mapping in asked.items():
            ebs = mapping.get("Ebs")
            if ebs is None or mapping.get("NoDevice") is not None:
                continue
            kind = str(ebs.get("VolumeType") or "gp3")
            snapshot = str(ebs.get("SnapshotId") or "") if device != root else ""
            size = ebs.get("VolumeSize") or (ROOT_GIB if device == root else None)
            try:
                gib = self.checked_size(kind, size, snapshot)
            except Fault as fault:
                raise Fault("InvalidBlockDeviceMapping", fault.message) from fault
            keep = ebs.get("DeleteOnTermination") in (False, "false")
            found.append(BlockDevice(device, device == root, gib, kind, snapshot, not keep, dict(ebs)))
        return found

    def attach_mapped(self, instance: Any, mappings: list[BlockDevice], tags: dict[str, str]) -> None:
        """Make and attach the volumes of a launch."""
        for mapping in mappings:
            zone = instance.placement.zone
            if mapping.root:
                volume = self.create_volume(size=mapping.size, zone_name=zone, volume_type=mapping.kind)
                self.attach_volume(volume.id, instance.id, mapping.device, mapping.delete_on_termination)
            else:
                more = {key: mapping.settings.get(key) for key in ("Iops", "Throughput", "Encrypted")}
                asked = {"Size": mapping.size, "VolumeType": mapping.kind, "SnapshotId": mapping.snapshot, **more}
                volume = self.make_volume(zone, asked)
                self.volume_work.make(volume)
                self._attached(volume, instance, mapping.device, mapping.delete_on_termination)
            volume.add_tags(tags)

    # Attaching

    def begin_attach(self, volume_id: str, instance_id: str, device: str) -> Attachment:
        """Begin to attach a volume to a running or stopped instance. Raises Fault."""
        volume = self.get_volume(volume_id)
        instance = self.get_instance(instance_id)
        if not _DEVICE.fullmatch(device):
            text = f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name."
            raise Fault("InvalidParameterValue", text)
        if not isinstance(volume, Volume):
            raise Fault("UnsupportedOperation", f"The root volume '{volume_id}' holds no data in the local cloud.")
        if volume.attachment:
            raise Fault("VolumeInUse", f"{volume_id} is already attached to an instance")
        if volume.status != "available":
            raise Fault("IncorrectState", f"{volume_id} is not 'available'.")
        if instance.state not in ("running", "stopped"):
            raise Fault("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
        if volume.availability_zone != instance.placement.zone:
            text = f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'"
            raise Fault("InvalidVolume.ZoneMismatch", text)
        if device in instance.block_device_mapping:
            text = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
            raise Fault("InvalidParameterValue", text)
        if len(instance.block_device_mapping) > _MOST_DISKS:
            raise Fault("AttachmentLimitExceeded", f"Volume attachment limit exceeded for instance '{instance_id}'.")
        attachment = self._attached(volume, instance, device, delete_on_termination=False)
        self.volume_work.attach(volume)
        return attachment

    def _attached(self, volume: Volume, instance: Any, device: str, delete_on_termination: bool) -> Attachment:  # noqa: FBT001
        taken = {one.attachment.number for one in self.disks_of(instance) if one.attachment}
        number = next(n for n in range(1, _MOST_DISKS + 2) if n not in taken)
        mapped: Any = dict(instance.block_device_mapping)
        mapped[device] = BlockDeviceType(
            volume_id=volume.id,
            status="attaching",
            size=volume.size,
            attach_time=utcnow(),
            delete_on_termination=delete_on_termination,
        )
        # Set whole, so that the record is known to have changed.
        instance.block_device_mapping = type(instance.block_device_mapping)(mapped)
        volume.attachment = Attachment(volume, instance, device, number)
        return volume.attachment  # type: ignore[no-any-return]

    def move_on(self, volume: Volume, status: str) -> None:
        """The attachment of a volume gets another status."""
        attachment = volume.attachment
        attachment.status = status
        volume.attachment = attachment
        instance = attachment.instance
        if (mapped := instance.block_device_mapping.get(attachment.device)) is not None:
            mapped.status = status
            instance.block_device_mapping = type(instance.block_device_mapping)(instance.block_device_mapping)

    def disks_of(self, instance: Any) -> list[Volume]:
        """The volumes with data that an instance has, or is about to have."""
        ids = [device.volume_id for device in instance.block_device_mapping.values()]
        return [volume for i in ids if isinstance(volume := self.volumes.get(i), Volume) and volume.attachment]

    def begin_detach(self, volume_id: str, instance_id: str, device: str) -> Attachment:
        """Begin to detach a volume. Raises Fault."""
        volume = self.get_volume(volume_id)
        attachment = volume.attachment
        if attachment is None:
            raise Fault("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
        if (instance_id or attachment.instance.id) != attachment.instance.id:
            text = f"The volume '{volume_id}' is not attached to instance '{instance_id}'."
            raise Fault("InvalidAttachment.NotFound", text)
        if (device or attachment.device) != attachment.device:
            text = f"The volume '{volume_id}' is not attached to instance '{instance_id}' as device '{device}'."
            raise Fault("InvalidAttachment.NotFound", text)
        if not isinstance(volume, Volume):
            text = f"Unable to detach root volume '{attachment.device}' from instance '{attachment.instance.id}'"
            raise Fault("OperationNotPermitted", text)
        if attachment.status not in ("detaching", "busy"):
            self.move_on(volume, "detaching")
            self.volume_work.detach(volume)
        return attachment  # type: ignore[no-any-return]

    def end_detach(self, volume: Volume) -> None:
        """A volume has left its instance."""
        attachment = volume.attachment
        if attachment is None:
            return
        mapped: Any = dict(attachment.instance.block_device_mapping)
        mapped.pop(attachment.device, None)
        attachment.instance.block_device_mapping = type(attachment.instance.block_device_mapping)(mapped)
        volume.attachment = None

    # Ending, growing, snapshots

    def delete_volume(self, volume_id: str) -> Any:
        """A volume that nothing has is deleted, with its data."""
        volume = self.get_volume(volume_id)
        if isinstance(volume, Volume):
            if volume.attachment:
                text = f"Volume {volume_id} is currently attached to {volume.attachment.instance.id}"
                raise Fault("VolumeInUse", text)
            if volume.condition == "creating":
                raise Fault("IncorrectState", f"Volume '{volume_id}' is in the 'creating' state.")
        deleted = super().delete_volume(volume_id)
        self.tags.pop(volume_id, None)
        if isinstance(volume, Volume):
            self.volume_work.discard(volume_id)
        return deleted

    def modify_volume(self, volume_id: str, target_size: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """A volume grows, or gets another type."""
        volume = self.get_volume(volume_id)
        kind = (args[0] if args else kwargs.get("target_volume_type")) or volume.volume_type
        if target_size is not None and int(target_size) < volume.size:
            raise Fault("InvalidParameterValue", "New size cannot be smaller than existing size")
        self.checked_size(str(kind), target_size or volume.size, "")
        modified = super().modify_volume(volume_id, target_size, *args, **kwargs)
        if target_size is not None and isinstance(volume, Volume):
            self.volume_work.grow(volume)
        return modified

    def make_snapshot(self, volume_id: str, description: str) -> Any:
        """CreateSnapshot; a root volume's has no data."""
        volume = self.get_volume(volume_id)
        if not isinstance(volume, Volume):
            raise Fault("UnsupportedOperation", f"The root volume '{volume_id}' holds no data: use CreateImage.")
        if volume.condition != "available":
            raise Fault("IncorrectState", f"{volume_id} is in the '{volume.condition}' state.")
        snapshot = Snapshot(self, volume, description)
        self.snapshots[snapshot.id] = snapshot
        self.volume_work.keep(snapshot)
        return snapshot

    def delete_snapshot(self, snapshot_id: str) -> Any:
        """A snapshot goes; volumes made of it keep their data."""
        snapshot = super().delete_snapshot(snapshot_id)
        self.tags.pop(snapshot_id, None)
        if isinstance(snapshot, Snapshot):
            self.volume_work.discard(snapshot_id)
        return snapshot

    def disk(self, volume: Volume) -> Disk:
        """What a machine is told of an attached volume."""
        return Disk(volume.id, volume.attachment.number)
