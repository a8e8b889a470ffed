"""What requests to EC2 need: each resource that they touch or make, with its tags and properties.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-policy-structure.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hcluster.localcloud.api.access.ec2_actions import CREATES, EXISTING, KINDS, NAMED, WITHOUT_ACCOUNT
from hcluster.localcloud.api.access.ec2_properties import properties
from hcluster.localcloud.api.access.need import Need, listed_tags, request_tags
from hcluster.localcloud.api.launch import joined_tags
from hcluster.localcloud.api.policy import Value

Data = Mapping[str, Any]


class Ec2Resources:
    """The resources of one region as policies know them. Call with the cloud's lock held."""

    def __init__(self, backend: Any, account: str, region: str) -> None:
        self.backend = backend
        self.account = account
        self.region = region

    def arn(self, kind: str, identity: str = "*") -> str:
        """Of a resource; of any that is not there yet, without an id."""
        account = "" if kind in WITHOUT_ACCOUNT else self.account
        return f"arn:aws:ec2:{self.region}:{account}:{kind}/{identity}"

    def existing(self, kind: str, identity: str) -> tuple[str, dict[str, Value]]:
        """(ARN, condition keys) of a resource. One that is gone has no tags, as on AWS."""
        keys = dict(properties(self.backend, self, kind, identity))
        for key, value in dict(self.backend.tags.get(identity, {})).items():
            keys[f"aws:ResourceTag/{key}"] = keys[f"ec2:ResourceTag/{key}"] = str(value)
        return self.arn(kind, identity), keys

    def identities(self, kind: str, parameter: str, parameters: Data) -> list[str]:
        """The ids that a parameter gives, or its sister that gives a name."""
        value = parameters.get(parameter)
        if value:
            return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
        if kind == "launch-template" and (name := parameters.get("LaunchTemplateName")):
            return [self.template_id(str(name))]
        if kind == "security-group" and (name := parameters.get("GroupName")):
            found = self.backend.get_security_group_by_name_or_id(str(name))
            return [str(found.id) if found is not None else "*"]
        if parameter == "VpcId" and self.backend.get_default_vpc() is not None:
            return [str(self.backend.get_default_vpc().id)]
        return []

    def template_id(self, name: str) -> str:
        """The id of a launch template by name; "*" when there is none."""
        return str(dict(self.backend.launch_template_name_to_ids).get(name, "*"))


def needs(resources: Ec2Resources, operation: str, parameters: Data) -> list[Need]:
    """What one request needs; launches are in ``ec2_launch``."""
    tags = joined_tags(parameters.get("TagSpecifications") or ())
    found: list[Need] = []
    if operation in ("CreateTags", "DeleteTags"):
        return _tagging(resources, operation, parameters)
    for kind in CREATES.get(operation, ()):
        keys = {**_made(operation, parameters), **request_tags(tags.get(kind, {}))}
        found.append(Need(f"ec2:{operation}", resources.arn(kind), keys))
    for parameter in EXISTING.get(operation, ()):
        kind = NAMED[parameter]
        named = resources.identities(kind, parameter, parameters)
        found += [Need(f"ec2:{operation}", *resources.existing(kind, identity)) for identity in named]
    found += _by_name(resources, operation, parameters, tags)
    if operation == "DeregisterImage" and parameters.get("DeleteAssociatedSnapshots"):
        found += _snapshots_of(resources, str(parameters.get("ImageId")))
    return [*(found or [Need(f"ec2:{operation}")]), *tagged(resources, operation, tags)]


def tagged(resources: Ec2Resources, operation: str, tags: Mapping[str, Mapping[str, str]]) -> list[Need]:
    """The right to tag what ``operation`` makes."""
    return [
        Need("ec2:CreateTags", resources.arn(kind), {"ec2:CreateAction": operation, **request_tags(pairs)})
        for kind, pairs in tags.items()
        if pairs
    ]


def _tagging(resources: Ec2Resources, operation: str, parameters: Data) -> list[Need]:
    entries = list(parameters.get("Tags") or ())
    keys: dict[str, Value] = request_tags(listed_tags(entries))
    if operation == "DeleteTags":
        # A key without a value deletes the tag whatever its value.
        given = {f"aws:RequestTag/{one['Key']}": str(one["Value"]) for one in entries if one.get("Value") is not None}
        keys = {**given, "aws:TagKeys": tuple(str(one["Key"]) for one in entries)} if entries else {}
    found = []
    for identity in parameters.get("Resources") or ():
        kind = KINDS.get(str(identity).partition("-")[0], "resource")
        arn, about = resources.existing(kind, str(identity))
        found.append(Need(f"ec2:{operation}", arn, {**about, **keys}))
    return found or [Need(f"ec2:{operation}", "*", keys)]


def _made(operation: str, parameters: Data) -> dict[str, Value]:
    """Properties of what is to be made that policies may ask for."""
    if operation == "CreateVolume":
        return volume_keys(parameters, str(parameters.get("AvailabilityZone") or ""))
    if operation == "CreateSecurityGroup":
        return {"ec2:GroupName": str(parameters.get("GroupName") or "")}
    return {}


def volume_keys(ebs: Data, zone: str) -> dict[str, Value]:
    """Condition keys of a volume from CreateVolume's parameters or from a mapping's Ebs."""
    keys: dict[str, Value] = {"ec2:Encrypted": "true" if ebs.get("Encrypted") else "false"}
    keys["ec2:VolumeType"] = str(ebs.get("VolumeType") or "gp3")
    for name, key in (("Size", "ec2:VolumeSize"), ("VolumeSize", "ec2:VolumeSize"), ("Iops", "ec2:VolumeIops")):
        if ebs.get(name):
            keys[key] = str(ebs[name])
    if zone:
        keys["ec2:AvailabilityZone"] = zone
    return keys


def _by_name(resources: Ec2Resources, operation: str, parameters: Data, tags: Mapping[str, Any]) -> Iterable[Need]:
    """Key pairs and placement groups have their names in their ARNs; a few requests name what only we can look up."""
    backend, action = resources.backend, f"ec2:{operation}"
    if operation in ("CreateKeyPair", "ImportKeyPair", "DeleteKeyPair"):
        name = str(parameters.get("KeyName") or "")
        pairs = list(backend.key_pairs.values())
        known = next((one for one in pairs if one.key_name == name or one.id == parameters.get("KeyPairId")), None)
        keys: dict[str, Value] = {"ec2:KeyPairName": name or (known.name if known else ""), **_tags(backend, known)}
        yield Need(action, resources.arn("key-pair", name or "*"), {**keys, **request_tags(tags.get("key-pair", {}))})
    elif operation in ("CreatePlacementGroup", "DeletePlacementGroup"):
        name = str(parameters.get("GroupName") or "*")
        keys = {"ec2:PlacementGroupName": name, **request_tags(tags.get("placement-group", {}))}
        yield Need(action, resources.arn("placement-group", name), keys)
    elif operation == "DetachNetworkInterface":
        for eni in list(backend.enis.values()):
            if eni.attachment_id == parameters.get("AttachmentId"):
                yield Need(action, *resources.existing("network-interface", eni.id))
                if eni.instance is not None:
                    yield Need(action, *resources.existing("instance", eni.instance.id))
    elif operation in ("DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"):
        for one in list(backend.iam_instance_profile_associations.values()):
            if one.id == parameters.get("AssociationId"):
                yield Need(action, *resources.existing("instance", one.instance.id))


def _snapshots_of(resources: Ec2Resources, image_id: str) -> Iterable[Need]:
    """Deregistering an image with its snapshots deletes these in the caller's name."""
    image = resources.backend.amis.get(image_id)
    snapshot = getattr(image, "ebs_snapshot", None)
    if snapshot is not None:
        yield Need("ec2:DeleteSnapshot", *resources.existing("snapshot", str(snapshot.id)))


def _tags(backend: Any, record: Any) -> dict[str, Value]:
    pairs = dict(backend.tags.get(record.id, {})) if record is not None else {}
    return {f"{kind}:ResourceTag/{key}": str(value) for key, value in pairs.items() for kind in ("aws", "ec2")}
