"""Images: made of machines, kept as layers until nothing needs them."""

from __future__ import annotations

from typing import Any, Protocol

from moto.core.utils import utcnow
from moto.ec2.utils import random_ami_id

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.network import Network
from hcluster.localcloud.api.parts import Ami

_ROOT_DEVICE = "/dev/xvda"
DEBIAN = "136693071363"
"""Debian's account on AWS: one owner filter fits both clouds."""


class Layers(Protocol):
    """Makes and removes layers in the background."""

    def capture(self, image: Any, instance_id: str, *, reboot: bool) -> None:
        """A pending image becomes available, or failed with a reason. ``reboot``: power the instance off meanwhile."""

    def discard(self, image_id: str) -> None:
        """Remove a layer that nothing needs."""


class Images(Network):
    """EC2's records of images. ``layers`` is set by the server that owns it."""

    layers: Layers
    by_id: dict[str, Any]
    parents: dict[str, str]
    """The image below each image whose layer exists; "" for a base."""

    def _load_amis(self) -> None:
        """None of moto's own: they have no machines, and take memory."""

    def register_base(self, image_id: str, name: str) -> None:
        """Make a base image known, public and owned by Debian's account; repeatable."""
        self.parents.setdefault(image_id, "")
        if image_id in self.amis:
            return
        image = Ami(
            self,
            image_id,
            name=name,
            description="Debian 12, built on this machine",
            owner_id=DEBIAN,
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            hypervisor="xen",
            image_location=f"{DEBIAN}/{name}",
            root_device_type="ebs",
            root_device_name=_ROOT_DEVICE,
            creation_date=utcnow(),
        )
        _finish(image)
        self.amis[image_id] = image

    def launchable_image(self, image_id: str) -> Any:
        """The available image of that id. Raises Fault in EC2's words."""
        if not image_id:
            raise Fault("MissingParameter", "The request must contain the parameter ImageId")
        if not image_id.startswith("ami-"):
            raise Fault("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
        image = self.amis.get(image_id)
        if image is None:
            raise Fault("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        if image.state != "available":
            raise Fault("InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is no longer available")
        return image

    def capture_image(self, request: launch.Data) -> Any:
        """CreateImage: ``request`` in the API's shape. Raises Fault for a taken name and a wrong instance."""
        instance = self.get_instance(str(request.get("InstanceId")))
        name = str(request.get("Name") or "")
        taken = next((a for a in self.amis.values() if a.name == name and a.owner_id == self.account_id), None)
        if not name or taken:
            detail = f"AMI name {name} is already in use by AMI {taken.id}" if taken else "an image needs a name"
            raise Fault("InvalidAMIName.Duplicate" if taken else "MissingParameter", detail)
        if instance.state not in ("running", "stopped", "stopping"):
            raise Fault("IncorrectState", f"Instance '{instance.id}' is not running or stopped: {instance.state}.")
        source = self.amis.get(instance.image_id)
        image = Ami(
            self,
            random_ami_id(),
            instance=instance,
            name=name,
            description=str(request.get("Description") or ""),
            snapshot_description=f"Created by CreateImage({instance.id})",
            image_location=f"{self.account_id}/{name}",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name=source.root_device_name if source else _ROOT_DEVICE,
        )
        _finish(image)
        image.state = "pending"
        # Moto keeps the instance object; the id says enough, and lets the instance be forgotten.
        del image.instance
        tags = launch.joined_tags(request.get("TagSpecifications") or ())
        image.add_tags(tags.get("image", {}))
        image.ebs_snapshot.add_tags(tags.get("snapshot", {}))
        self.amis[image.id] = image
        self.parents[image.id] = instance.image_id
        self.layers.capture(image, instance.id, reboot=not request.get("NoReboot") and instance.state == "running")
        return image

    def deregister_image(self, ami_id: str) -> None:
        """Forget an own image; its layer goes when nothing stands on it."""
        image = self.amis.get(ami_id)
        if image is not None and image.owner_id != self.account_id:
            raise Fault("AuthFailure", f"Not authorized for image:{ami_id}", 403)
        super().deregister_image(ami_id)
        self.tags.pop(ami_id, None)
        self.collect_layers()

    def copy_image(self, *_: Any, **__: Any) -> Any:
        """There is one region to copy to: the one where it is."""
        raise Fault("UnsupportedOperation", "The local cloud has one region; copying images is not supported.")

    def register_image(self, *_: Any, **__: Any) -> Any:
        """Snapshots hold no data here."""
        raise Fault("UnsupportedOperation", "The local cloud makes images with CreateImage only.")

    def collect_layers(self) -> None:
        """Discard each layer on which no image, no instance and no needed layer stands."""
        needed: set[str] = set()
        roots = [*self.amis, *(i.image_id for i in self.by_id.values() if i.state != "terminated")]
        for root in roots:
            image_id = root
            while image_id and image_id not in needed:
                needed.add(image_id)
                image_id = self.parents.get(image_id, "")
        for image_id in [i for i, parent in self.parents.items() if i not in needed and parent]:
            del self.parents[image_id]
            self.layers.discard(image_id)


def _finish(image: Any) -> None:
    """What moto's images lack."""
    image.boot_mode = "legacy-bios"
    image.ena_support = True
    image.imds_support = None
    image.state_reason = None
    image.platform_details = "Linux/UNIX"
    image.usage_operation = "RunInstances"
