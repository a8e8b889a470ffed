"""What a launch asks for: the template's data merged with the request's, and checked. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hcluster.localcloud.api.faults import Fault

Data = Mapping[str, Any]

MOST_USER_DATA = 16384
"""Bytes before Base64 (EC2 user guide, "Run commands when you launch an EC2 instance with user data input")."""

_KEYS = (
    "ImageId",
    "InstanceType",
    "KeyName",
    "UserData",
    "SecurityGroupIds",
    "SecurityGroups",
    "SubnetId",
    "PrivateIpAddress",
    "NetworkInterfaces",
    "IamInstanceProfile",
    "MetadataOptions",
    "BlockDeviceMappings",
    "TagSpecifications",
    "InstanceMarketOptions",
    "Placement",
    "InstanceInitiatedShutdownBehavior",
    "EbsOptimized",
    "Monitoring",
    "DisableApiTermination",
    "DisableApiStop",
)


@dataclass(frozen=True, slots=True)
class Template:
    """The version of a launch template that a launch uses."""

    id: str
    name: str
    version: str
    data: Data = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """Instances to launch: ``data`` is in the shape of RunInstances' request, with the template's already merged in."""

    data: Data
    spot: bool
    template: Template | None = None
    fleet_id: str = ""
    client_token: str = ""


def merge(template: Data, request: Data) -> dict[str, Any]:
    """The launch data: the request wins, tags are joined, a subnet or groups go to the template's interface."""
    merged: dict[str, Any] = {key: template[key] for key in _KEYS if template.get(key) not in (None, [], {}, "")}
    given = {key: request[key] for key in _KEYS if request.get(key) not in (None, [], {}, "")}
    tags = joined_tags(merged.get("TagSpecifications", ()), given.pop("TagSpecifications", ()))
    interfaces = merged.get("NetworkInterfaces") if "NetworkInterfaces" not in given else None
    if interfaces:
        # EC2 takes no instance-level network beside interfaces; a fleet's override of the subnet means the primary one.
        merged["NetworkInterfaces"] = [
            dict(nic, **_overrides(given)) if _primary(nic) and not nic.get("NetworkInterfaceId") else dict(nic)
            for nic in interfaces
        ]
        for key in ("SubnetId", "SecurityGroupIds", "PrivateIpAddress"):
            given.pop(key, None)
    merged.update(given)
    merged["TagSpecifications"] = [
        {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in pairs.items()]}
        for kind, pairs in tags.items()
    ]
    return merged


def _primary(nic: Data) -> bool:
    return int(nic.get("DeviceIndex") or 0) == 0


def _overrides(given: Data) -> dict[str, Any]:
    names = {"SubnetId": "SubnetId", "SecurityGroupIds": "Groups", "PrivateIpAddress": "PrivateIpAddress"}
    return {to: given[name] for name, to in names.items() if name in given}


def joined_tags(*specifications: Iterable[Data]) -> dict[str, dict[str, str]]:
    """Tags by resource type; later ones win. Raises Fault for a key that only AWS may set."""
    tags: dict[str, dict[str, str]] = {}
    for specification in specifications:
        for entry in specification or ():
            pairs = {str(t["Key"]): str(t.get("Value") or "") for t in entry.get("Tags") or ()}
            if any(key.lower().startswith("aws:") for key in pairs):
                raise Fault("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
            tags.setdefault(str(entry["ResourceType"]), {}).update(pairs)
    return tags


class Interfaces(list[Any]):
    """What ``interfaces`` gives, as moto's instances take it: they copy what they are given, in depth, each time."""

    def __deepcopy__(self, _: Any) -> Interfaces:
        return self


def check_user_data(data: Data) -> None:
    """Raise Fault for more user data than EC2 takes."""
    text = data.get("UserData")
    if not text:
        return
    try:
        size = len(base64.b64decode(text if isinstance(text, bytes) else str(text), validate=True))
    except ValueError:
        return  # Where it is used, it is told as what it is.
    if size > MOST_USER_DATA:
        raise Fault("InvalidParameterValue", f"User data is limited to {MOST_USER_DATA} bytes")


def interfaces(data: Data, subnet: str, groups: list[str]) -> list[dict[str, Any]]:
    """The interfaces of one instance by device index: what is asked for, else one in ``subnet`` with ``groups``."""
    given = sorted(
        (dict(nic) for nic in data.get("NetworkInterfaces") or ()), key=lambda n: int(n.get("DeviceIndex") or 0)
    )
    if not given:
        address = data.get("PrivateIpAddress")
        return [
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "Groups": groups,
                "PrivateIpAddress": address,
                "DeleteOnTermination": True,
            }
        ]
    for nic in given:
        nic["DeviceIndex"] = int(nic.get("DeviceIndex") or 0)
        if nic.get("NetworkInterfaceId"):
            # What existed before the instance outlives it, unless told otherwise.
            nic.setdefault("DeleteOnTermination", False)
            continue
        nic.setdefault("DeleteOnTermination", True)
        nic["SubnetId"] = nic.get("SubnetId") or subnet
        nic["Groups"] = nic.get("Groups") or groups
        listed = nic.get("PrivateIpAddresses") or ()
        nic.setdefault("PrivateIpAddress", next((a.get("PrivateIpAddress") for a in listed if a.get("Primary")), None))
    if given[0]["DeviceIndex"] != 0:
        raise Fault("InvalidParameterValue", "An instance needs a network interface with device index 0.")
    return given


def fingerprint(parameters: Data) -> str:
    """Tells whether two requests with one client token are the same."""
    text = json.dumps(parameters, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
