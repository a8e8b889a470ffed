"""EC2's operations on volumes and snapshots, in the API's shapes."""

from __future__ import annotations

import base64
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.faults import Fault

_MOST_RESULTS = 1000


class VolumeOperations:
    """Mixed into the response of EC2's requests."""

    _backend: Any
    _request: Any
    _filters_from_querystring: Any

    def create_volume(self) -> ActionResult:
        """CreateVolume, idempotent by its client token."""
        request = self._request()
        token = request.pop("ClientToken", None)

        def make() -> Any:
            if request.get("MultiAttachEnabled"):
                raise Fault("UnsupportedOperation", "The local cloud attaches a volume to one instance at a time.")
            zone = str(request.get("AvailabilityZone") or "")
            volume = self._backend.make_volume(zone, request)
            volume.add_tags(launch.joined_tags(request.get("TagSpecifications") or ()).get("volume", {}))
            self._backend.volume_work.make(volume)
            return volume

        return ActionResult(self._backend.once("CreateVolume", token, request, make))

    def describe_volumes(self) -> ActionResult:
        """DescribeVolumes, in pages when MaxResults asks for them."""
        request = self._request()
        found = self._backend.describe_volumes(request.get("VolumeIds") or [], self._filters_from_querystring())
        shown, more = _page(found, request)
        return ActionResult({"Volumes": shown, "NextToken": more})

    def attach_volume(self) -> ActionResult:
        """AttachVolume."""
        request = self._request()
        _demand(request, "VolumeId", "InstanceId", "Device")
        attachment = self._backend.begin_attach(request["VolumeId"], request["InstanceId"], request["Device"])
        return ActionResult(_shown(attachment, "attaching"))

    def detach_volume(self) -> ActionResult:
        """DetachVolume; Force is no different here, as no data can be lost to it."""
        request = self._request()
        _demand(request, "VolumeId")
        attachment = self._backend.begin_detach(
            request["VolumeId"], request.get("InstanceId") or "", request.get("Device") or ""
        )
        return ActionResult(_shown(attachment, "detaching"))

    def delete_volume(self) -> EmptyResult:
        """DeleteVolume."""
        request = self._request()
        _demand(request, "VolumeId")
        self._backend.delete_volume(request["VolumeId"])
        return EmptyResult()

    def create_snapshot(self) -> ActionResult:
        """CreateSnapshot."""
        request = self._request()
        _demand(request, "VolumeId")
        snapshot = self._backend.make_snapshot(request["VolumeId"], str(request.get("Description") or ""))
        snapshot.add_tags(launch.joined_tags(request.get("TagSpecifications") or ()).get("snapshot", {}))
        return ActionResult(snapshot)

    def create_snapshots(self) -> ActionResult:
        """CreateSnapshots of an instance's volumes."""
        raise Fault("UnsupportedOperation", "The local cloud makes snapshots of one volume at a time.")

    def copy_snapshot(self) -> ActionResult:
        """There is one region to copy to: the one where it is."""
        raise Fault("UnsupportedOperation", "The local cloud has one region; copying snapshots is not supported.")


def _demand(request: dict[str, Any], *names: str) -> None:
    for name in names:
        if not request.get(name):
            raise Fault("MissingParameter", f"The request must contain the parameter {name}")


def _shown(attachment: Any, state: str) -> dict[str, Any]:
    return {
        "VolumeId": attachment.volume.id,
        "InstanceId": attachment.instance.id,
        "Device": attachment.device,
        "State": state,
        "AttachTime": attachment.attach_time,
        "DeleteOnTermination": attachment.delete_on_termination,
    }


def _page(found: list[Any], request: dict[str, Any]) -> tuple[list[Any], str | None]:
    """One page, and the token of the next; a token is the id of the last that was shown."""
    if token := request.get("NextToken"):
        try:
            last = base64.b64decode(str(token), validate=True).decode()
            start = next(number for number, one in enumerate(found, 1) if one.id == last)
        except (ValueError, StopIteration):
            raise Fault("InvalidParameterValue", "Invalid value for 'nextToken': it is not valid.") from None
        found = found[start:]
    size = int(request.get("MaxResults") or 0)
    if not size:
        return found, None
    if size < 5:
        raise Fault("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid. Expecting >= 5.")
    shown = found[: min(size, _MOST_RESULTS)]
    more = base64.b64encode(shown[-1].id.encode()).decode() if len(shown) < len(found) else None
    return shown, more
