"""What EC2 refuses in a request by its parameters alone: malformed ids, unknown filters, tags that cannot be.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.utils import get_service_model

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import EC2Response

LONGEST_KEY, LONGEST_VALUE = 128, 256
"""Characters of a tag."""
LONGEST_TOKEN = 64
"""Characters of a client token."""
_IDS = {
    "InstanceId": ("i", "InvalidInstanceID.Malformed"),
    "VolumeId": ("vol", "InvalidVolumeID.Malformed"),
    "SnapshotId": ("snap", "InvalidSnapshotID.Malformed"),
    "NetworkInterfaceId": ("eni", "InvalidNetworkInterfaceId.Malformed"),
    "SecurityGroupId": ("sg", "InvalidGroupId.Malformed"),
}
_DIGITS = r"-(?:[0-9a-f]{8}|[0-9a-f]{17})"
_NAMES = re.compile(r"<code>([^<]+)</code>")
_OWN = "aws:"
_DESCRIBED = {
    "DescribeKeyPairs": ("KeyNames", "key_pairs", "InvalidKeyPair.NotFound", "key pair"),
    "DescribeSecurityGroups": ("GroupIds", "groups", "InvalidGroup.NotFound", "security group"),
    "DescribeSnapshots": ("SnapshotIds", "snapshots", "InvalidSnapshot.NotFound", "snapshot"),
    "DescribeVolumes": ("VolumeIds", "volumes", "InvalidVolume.NotFound", "volume"),
    "DescribeVpcs": ("VpcIds", "vpcs", "InvalidVpcID.NotFound", "vpc ID"),
}
"""By action: the parameter with ids, the backend's records, the code and the kind of what is missing."""


def demand_ids(request: Mapping[str, Any]) -> None:
    """Raise Fault for an id that no resource can have."""
    for name, (prefix, code) in _IDS.items():
        for one in (request.get(name), *(request.get(f"{name}s") or ())):
            if isinstance(one, str) and not re.fullmatch(prefix + _DIGITS, one):
                expected = "" if prefix == "i" else f' (expecting "{prefix}-...")'
                raise Fault(code, f'Invalid id: "{one}"{expected}')


def demand_filters(action: str, filters: Iterable[Mapping[str, Any]]) -> None:
    """Raise Fault for a filter that EC2's documentation of the action does not name."""
    known = documented(action)
    for name in (str(one.get("Name")) for one in filters):
        if known and name not in known and not name.startswith("tag:"):
            raise Fault("InvalidParameterValue", f"The filter '{name}' is invalid")


@functools.lru_cache(maxsize=256)
def documented(action: str) -> frozenset[str]:
    """The filters of an action, as its documentation names them beside their values."""
    model = get_service_model("ec2")
    shape = model.operation_model(action).input_shape if action in model.operation_names else None
    members = shape.members if shape is not None else {}
    listed = members.get("Filters") or members.get("Filter")
    return frozenset(_NAMES.findall(listed.documentation)) if listed is not None else frozenset()


def demand_tags(tags: Iterable[Mapping[str, Any]]) -> None:
    """Raise Fault for tags that nobody can put on a resource."""
    keys: set[str] = set()
    for tag in tags:
        key, value = str(tag.get("Key", "")), str(tag.get("Value") or "")
        if key.lower().startswith(_OWN):
            raise Fault("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > LONGEST_KEY:
            raise Fault("InvalidParameterValue", f"Tag key exceeds the maximum length of {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise Fault("InvalidParameterValue", f"Tag value exceeds the maximum length of {LONGEST_VALUE} characters")
        if key in keys:
            raise Fault("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        keys.add(key)


class Checks(EC2Response):  # type: ignore[misc]
    """Of each request, once it is known that its caller may make it."""

    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """What moto calls before each operation."""
        super()._authenticate_and_authorize_normal_action(resource)
        request = dict(self.params)
        demand_ids(request)
        if "SecurityGroup" in self._get_action():  # elsewhere it is a placement group's
            demand_ids({"SecurityGroupId": request.get("GroupId"), "SecurityGroupIds": request.get("GroupIds")})
        demand_filters(self._get_action(), request.get("Filters") or request.get("Filter") or ())
        demand_tags(request.get("Tags") or ())
        for specification in request.get("TagSpecifications") or ():
            demand_tags(specification.get("Tags") or ())
        if len(str(request.get("ClientToken") or "")) > LONGEST_TOKEN:
            raise Fault("InvalidParameterValue", f"A client token has at most {LONGEST_TOKEN} characters.")
        self._demand_known(request)

    def _demand_known(self, request: Mapping[str, Any]) -> None:
        """Raise Fault for ids of a description that nothing has. Moto tells them as Python writes a set, or not."""
        if self._get_action() == "DescribeAvailabilityZones":
            zones = {zone.name for zone in self.ec2_backend.describe_availability_zones()}
            if unknown := [str(one) for one in request.get("ZoneNames") or () if one not in zones]:
                raise Fault("InvalidParameterValue", f"Invalid availability zone: [{', '.join(unknown)}]")
        if self._get_action() not in _DESCRIBED:
            return
        name, records, code, kind = _DESCRIBED[self._get_action()]
        there = getattr(self.ec2_backend, records)
        if records == "groups":  # by VPC
            there = {group_id for groups in there.values() for group_id in groups}
        if missing := [str(one) for one in request.get(name) or () if one not in there]:
            raise Fault(code, f"The {kind} '{', '.join(missing)}' does not exist.")
