"""Condition keys that tell properties of EC2's resources as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hcluster.localcloud.api.policy import Value

Keys = dict[str, Value]


def properties(backend: Any, resources: Any, kind: str, identity: str) -> Keys:
    """The keys of one resource; none when it is not there or has none."""
    teller = _TELLERS.get(kind)
    return teller(backend, resources, identity) if teller is not None else {}


def _instance(backend: Any, _: Any, identity: str) -> Keys:
    instance = backend.by_id.get(identity)
    if instance is None:
        return {}
    options = instance.metadata_options
    keys: Keys = {
        "ec2:InstanceID": identity,
        "ec2:InstanceType": str(instance.instance_type),
        "ec2:AvailabilityZone": str(instance.placement.zone),
        "ec2:InstanceMarketType": "spot" if instance.lifecycle == "spot" else "on-demand",
        "ec2:EbsOptimized": str(bool(instance.ebs_optimized)).lower(),
        "ec2:RootDeviceType": "ebs",
        "ec2:Tenancy": "default",
    }
    keys |= metadata_keys(
        {
            "HttpTokens": options.http_tokens,
            "HttpEndpoint": options.http_endpoint,
            "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        }
    )
    profile = (instance.iam_instance_profile or {}).get("Arn")
    if profile:
        keys["ec2:InstanceProfile"] = str(profile)
    return keys


def metadata_keys(options: dict[str, Any]) -> Keys:
    """Of MetadataOptions, as requests and templates give them."""
    names = ("HttpTokens", "HttpEndpoint", "HttpPutResponseHopLimit")
    return {f"ec2:Metadata{name}": str(options[name]) for name in names if options.get(name) is not None}


def _vpc_arn(resources: Any, vpc: Any) -> Keys:
    return {"ec2:Vpc": resources.arn("vpc", str(vpc))} if vpc else {}


def _subnet(backend: Any, resources: Any, identity: str) -> Keys:
    for subnets in backend.subnets.values():
        if identity in subnets:
            subnet = subnets[identity]
            zone = {"ec2:AvailabilityZone": str(subnet.availability_zone), "ec2:SubnetID": identity}
            return {**_vpc_arn(resources, subnet.vpc_id), **zone}
    return {}


def _group(backend: Any, resources: Any, identity: str) -> Keys:
    group = backend.get_security_group_from_id(identity)
    return {} if group is None else {**_vpc_arn(resources, group.vpc_id), "ec2:SecurityGroupID": identity}


def _interface(backend: Any, resources: Any, identity: str) -> Keys:
    eni = backend.enis.get(identity)
    if eni is None:
        return {}
    return {
        **_vpc_arn(resources, eni.vpc_id),
        "ec2:Subnet": resources.arn("subnet", str(eni.subnet.id)),
        "ec2:AvailabilityZone": str(eni.subnet.availability_zone),
        "ec2:NetworkInterfaceID": identity,
    }


def _volume(backend: Any, _: Any, identity: str) -> Keys:
    volume = backend.volumes.get(identity)
    if volume is None:
        return {}
    return {
        "ec2:VolumeSize": str(volume.size),
        "ec2:VolumeType": str(volume.volume_type),
        "ec2:Encrypted": str(bool(volume.encrypted)).lower(),
        "ec2:AvailabilityZone": str(getattr(volume.zone, "name", volume.zone)),
        "ec2:VolumeID": identity,
    }


def _image(backend: Any, _: Any, identity: str) -> Keys:
    image = backend.amis.get(identity)
    if image is None:
        return {}
    return {
        "ec2:Owner": str(image.owner_id),
        "ec2:Public": str(bool(image.is_public)).lower(),
        "ec2:ImageType": "machine",
        "ec2:RootDeviceType": "ebs",
        "ec2:ImageID": identity,
    }


def _snapshot(backend: Any, _: Any, identity: str) -> Keys:
    snapshot = backend.snapshots.get(identity)
    if snapshot is None:
        return {}
    size = getattr(getattr(snapshot, "volume", None), "size", None)
    owner: Keys = {"ec2:Owner": str(snapshot.owner_id), "ec2:SnapshotID": identity}
    return {**owner, "ec2:VolumeSize": str(size)} if size else owner


def _vpc(backend: Any, _: Any, identity: str) -> Keys:
    return {"ec2:VpcID": identity, "ec2:Tenancy": "default"} if identity in backend.vpcs else {}


_TELLERS: dict[str, Callable[[Any, Any, str], Keys]] = {
    "instance": _instance,
    "subnet": _subnet,
    "security-group": _group,
    "network-interface": _interface,
    "volume": _volume,
    "image": _image,
    "snapshot": _snapshot,
    "vpc": _vpc,
}
