"""What a launch needs: RunInstances and CreateFleet, with everything that a launch template brings.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-launch-templates.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.access import iam
from hcluster.localcloud.api.access.ec2 import Ec2Resources, tagged, volume_keys
from hcluster.localcloud.api.access.ec2_properties import metadata_keys
from hcluster.localcloud.api.access.need import Need, request_tags
from hcluster.localcloud.api.policy import Value

Data = Mapping[str, Any]
_FALLBACK_TYPE = "m1.small"
_LAUNCHED = ("instance", "volume", "network-interface", "spot-instances-request")
"""What a launch makes, and so can tag; a template may carry tags of its own beside."""


def run_instances(resources: Ec2Resources, profiles: Iterable[Any], parameters: Data) -> list[Need]:
    """What RunInstances needs; ``profiles``: IAM's instance profiles."""
    data, template = _merged(resources, parameters.get("LaunchTemplate"), parameters)
    tags = _tags(data)
    found = _launch(resources, ("ec2:RunInstances",), data, template, tags)
    found += tagged(resources, "RunInstances", tags)
    return _once([*found, *_passed(resources, profiles, data)])


def create_fleet(resources: Ec2Resources, profiles: Iterable[Any], parameters: Data) -> list[Need]:
    """What CreateFleet of type instant needs: it launches in the caller's name, so RunInstances as well."""
    own = launch.joined_tags(parameters.get("TagSpecifications") or ())
    found = [Need("ec2:CreateFleet", resources.arn("fleet"), request_tags(own.get("fleet", {})))]
    known = list(profiles)
    for configuration in parameters.get("LaunchTemplateConfigs") or ():
        specification = configuration.get("LaunchTemplateSpecification")
        overrides: list[Data] = list(configuration.get("Overrides") or [{}])
        for override in overrides:
            data, template = _merged(resources, specification, override)
            tags = _tags(data, parameters)
            spot = (parameters.get("TargetCapacitySpecification") or {}).get("DefaultTargetCapacityType") == "spot"
            market = {"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}
            found += _launch(resources, ("ec2:CreateFleet", "ec2:RunInstances"), {**data, **market}, template, tags)
            # Tags that the fleet gives are put on by CreateFleet, those of the template by the launch.
            found += tagged(resources, "RunInstances", tags)
            found += _passed(resources, known, data)
    return _once([*found, *tagged(resources, "CreateFleet", own)])


def _tags(*given: Data) -> dict[str, dict[str, str]]:
    tags = launch.joined_tags(*(one.get("TagSpecifications") or () for one in given))
    return {kind: pairs for kind, pairs in tags.items() if kind in _LAUNCHED}


def _once(needs: list[Need]) -> list[Need]:
    """Each need once: the overrides of a fleet mostly differ in type and subnet alone."""
    return list({(need.action, need.resource, repr(sorted(need.keys.items()))): need for need in needs}.values())


def _merged(resources: Ec2Resources, specification: Data | None, request: Data) -> tuple[Data, tuple[str, Data]]:
    """(launch data, (template's id, its data)) of a request; ("", {}) without a template."""
    if not specification:
        return launch.merge({}, request), ("", {})
    try:
        found = resources.backend.template_of(specification)
    except Exception:  # noqa: BLE001 - the launch itself refuses a template that is not there, in EC2's words
        identity = str(specification.get("LaunchTemplateId") or "*")
        return launch.merge({}, request), (identity, {})
    return launch.merge(found.data, request), (found.id, found.data)


def _launch(
    resources: Ec2Resources,
    actions: tuple[str, ...],
    data: Data,
    template: tuple[str, Data],
    tags: Mapping[str, Mapping[str, str]],
) -> list[Need]:
    found: list[tuple[str, dict[str, Value]]] = []
    common: dict[str, Value] = {}
    if template[0]:
        arn, keys = resources.existing("launch-template", template[0])
        common = {"ec2:LaunchTemplate": arn}
        found.append((arn, keys))
    of_template = _from_template(template)

    def add(kind: str, identity: str, source: str) -> None:
        arn, keys = resources.existing(kind, identity)
        found.append((arn, {**keys, **common, **of_template(source)}))

    zone = _zone(resources, data)
    if data.get("ImageId"):
        add("image", str(data["ImageId"]), "ImageId")
    if data.get("KeyName"):
        arn = resources.arn("key-pair", str(data["KeyName"]))
        found.append((arn, {"ec2:KeyPairName": str(data["KeyName"]), **common, **of_template("KeyName")}))
    for subnet in _subnets(resources, data):
        add("subnet", subnet, "SubnetId")
    for group in _groups(resources, data):
        add("security-group", group, "SecurityGroupIds")
    new = resources.arn("instance")
    found.append((new, {**_instance(resources, data, zone), **common, **request_tags(tags.get("instance", {}))}))
    for arn, keys in [*_interfaces(resources, data, tags), *_volumes(resources, data, zone, tags)]:
        found.append((arn, {**keys, **common}))
    return [Need(action, arn, keys) for action in actions for arn, keys in found]


def _from_template(template: tuple[str, Data]) -> Callable[[str], dict[str, Value]]:
    def told(source: str) -> dict[str, Value]:
        if not template[0]:
            return {}
        inside = source in template[1] or (
            source in ("SubnetId", "SecurityGroupIds") and "NetworkInterfaces" in template[1]
        )
        return {"ec2:IsLaunchTemplateResource": str(inside).lower()}

    return told


def _zone(resources: Ec2Resources, data: Data) -> str:
    for subnet in _subnets(resources, data):
        keys = resources.existing("subnet", subnet)[1]
        return str(keys.get("ec2:AvailabilityZone") or "")
    return str((data.get("Placement") or {}).get("AvailabilityZone") or "")


def _subnets(resources: Ec2Resources, data: Data) -> list[str]:
    given = [data.get("SubnetId"), *(nic.get("SubnetId") for nic in data.get("NetworkInterfaces") or ())]
    named = [str(one) for one in dict.fromkeys(given) if one]
    if named or any(nic.get("NetworkInterfaceId") for nic in data.get("NetworkInterfaces") or ()):
        return named
    defaults = resources.backend.get_default_subnets()
    zone = (data.get("Placement") or {}).get("AvailabilityZone")
    chosen = defaults.get(zone) if zone else next(iter(defaults.values()), None)
    return [str(chosen.id)] if chosen is not None else []


def _groups(resources: Ec2Resources, data: Data) -> list[str]:
    given = [*(data.get("SecurityGroupIds") or ())]
    for nic in data.get("NetworkInterfaces") or ():
        given += nic.get("Groups") or ()
    for name in data.get("SecurityGroups") or ():
        group = resources.backend.get_security_group_by_name_or_id(name)
        given.append(group.id if group is not None else name)
    return [str(one) for one in dict.fromkeys(given)]


def _instance(resources: Ec2Resources, data: Data, zone: str) -> dict[str, Value]:
    market = (data.get("InstanceMarketOptions") or {}).get("MarketType")
    keys: dict[str, Value] = {
        "ec2:InstanceType": str(data.get("InstanceType") or _FALLBACK_TYPE),
        "ec2:InstanceMarketType": "spot" if market == "spot" else "on-demand",
        "ec2:EbsOptimized": str(bool(data.get("EbsOptimized"))).lower(),
        "ec2:RootDeviceType": "ebs",
        "ec2:Tenancy": str((data.get("Placement") or {}).get("Tenancy") or "default"),
        **metadata_keys(dict(data.get("MetadataOptions") or {})),
    }
    if zone:
        keys["ec2:AvailabilityZone"] = zone
    profile = data.get("IamInstanceProfile") or {}
    if any(profile.values()):
        name = profile.get("Arn") or f"arn:aws:iam::{resources.account}:instance-profile/{profile.get('Name')}"
        keys["ec2:InstanceProfile"] = str(name)
    return keys


def _interfaces(
    resources: Ec2Resources, data: Data, tags: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, dict[str, Value]]]:
    found = []
    interfaces: list[Data] = list(data.get("NetworkInterfaces") or [{}])
    for nic in interfaces:
        if nic.get("NetworkInterfaceId"):
            found.append(resources.existing("network-interface", str(nic["NetworkInterfaceId"])))
            continue
        keys: dict[str, Value] = request_tags(tags.get("network-interface", {}))
        if nic.get("AssociatePublicIpAddress") is not None:
            keys["ec2:AssociatePublicIpAddress"] = str(bool(nic["AssociatePublicIpAddress"])).lower()
        for subnet in _subnets(resources, {**data, "NetworkInterfaces": [nic]})[:1]:
            about = resources.existing("subnet", subnet)[1]
            keys["ec2:Subnet"] = resources.arn("subnet", subnet)
            keys |= {key: about[key] for key in ("ec2:Vpc", "ec2:AvailabilityZone") if key in about}
        found.append((resources.arn("network-interface"), keys))
    return found


def _volumes(
    resources: Ec2Resources, data: Data, zone: str, tags: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, dict[str, Value]]]:
    given = request_tags(tags.get("volume", {}))
    disks: list[Data] = [one["Ebs"] for one in data.get("BlockDeviceMappings") or () if one.get("Ebs")]
    return [(resources.arn("volume"), {**volume_keys(ebs, zone), **given}) for ebs in disks or [{}]]


def _passed(resources: Ec2Resources, profiles: Iterable[Any], data: Data) -> list[Need]:
    """The right to give the profile's role to the instance."""
    profile = data.get("IamInstanceProfile") or {}
    for known in list(profiles):
        if any(profile.values()) and (known.arn == profile.get("Arn") or known.name == profile.get("Name")):
            about = {"iam:AssociatedResourceArn": resources.arn("instance")}
            return [iam.pass_role(str(role.arn), role, about) for role in known.roles]
    return []


def associate_profile(resources: Ec2Resources, profiles: Iterable[Any], parameters: Data) -> list[Need]:
    """What giving a profile to a running instance needs beside the right to do so."""
    return _passed(resources, profiles, parameters)
