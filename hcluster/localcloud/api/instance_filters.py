"""The filters of DescribeInstances, and what each looks at. Pure.

Names and meaning: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html; a filter's values
are alternatives, with * for any characters and ? for one, a backslash before either taking it as it is
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hcluster.localcloud.api.faults import Fault

Values = tuple[str, ...]
_WILD = re.compile(r"[*?\\]")


def _text(value: Any) -> Values:
    if value is None or value == "":
        return ()
    return (str(value).lower(),) if isinstance(value, bool) else (str(value),)


def _stamp(moment: Any) -> Values:
    return (moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),) if moment else ()


def _each(found: Iterable[Any]) -> Values:
    return tuple(text for value in found for text in _text(value))


def _nics(get: Callable[[Any], Any]) -> Callable[[Any], Values]:
    return lambda instance: _each(get(nic) for nic in instance.nics.values())


def _devices(get: Callable[[str, Any], Any]) -> Callable[[Any], Values]:
    return lambda instance: _each(get(name, device) for name, device in list(instance.block_device_mapping.items()))


def _profile(part: str) -> Callable[[Any], Values]:
    def values(instance: Any) -> Values:
        profile = instance.iam_instance_profile or {}
        if part == "name":
            return _text(str(profile.get("Arn") or "").rpartition("/")[2])
        return _text(profile.get(part))

    return values


INDEXED: dict[str, Callable[[Any], Values]] = {
    "instance-id": lambda i: (str(i.id),),
    "instance-state-name": lambda i: (str(i.state),),
    "instance-type": lambda i: _text(i.instance_type),
    "instance-lifecycle": lambda i: _text(i.lifecycle),
    "image-id": lambda i: _text(i.image_id),
    "availability-zone": lambda i: _text(i.placement.zone),
    "vpc-id": lambda i: _text(i.vpc_id),
    "subnet-id": lambda i: _text(i.subnet_id),
    "private-ip-address": lambda i: _text(i.private_ip),
    "reservation-id": lambda i: _text(i.reservation_id),
    "client-token": lambda i: _text(i.client_token),
    "spot-instance-request-id": lambda i: _text(i.spot_instance_request_id),
    "network-interface.network-interface-id": _nics(lambda nic: nic.id),
}
"""Filters whose values are indexed; tags are, too."""

_OTHERS: dict[str, Callable[[Any], Values]] = {
    "architecture": lambda i: _text(i.architecture),
    "block-device-mapping.attach-time": lambda i: tuple(
        text for device in list(i.block_device_mapping.values()) for text in _stamp(device.attach_time)
    ),
    "block-device-mapping.delete-on-termination": _devices(lambda _, device: bool(device.delete_on_termination)),
    "block-device-mapping.device-name": _devices(lambda name, _: name),
    "block-device-mapping.status": _devices(
        lambda _, device: "attached" if device.status == "in-use" else device.status
    ),
    "block-device-mapping.volume-id": _devices(lambda _, device: device.volume_id),
    "dns-name": lambda i: _text(i.public_dns_name),
    "ebs-optimized": lambda i: _text(bool(i.ebs_optimized)),
    "group-id": lambda i: _each(group.id for group in i.security_groups),
    "group-name": lambda i: _each(group.name for group in i.security_groups),
    "hypervisor": lambda i: _text(i.hypervisor),
    "iam-instance-profile.arn": _profile("Arn"),
    "iam-instance-profile.id": _profile("Id"),
    "iam-instance-profile.name": _profile("name"),
    "instance-state-code": lambda i: _text(i.state_code),
    "instance.group-id": lambda i: _each(group.id for group in i.security_groups),
    "instance.group-name": lambda i: _each(group.name for group in i.security_groups),
    "ip-address": lambda i: _text(i.public_ip),
    "kernel-id": lambda i: _text(i.kernel),
    "key-name": lambda i: _text(i.key_name),
    "launch-index": lambda i: _text(i.ami_launch_index),
    "launch-time": lambda i: _stamp(i.launch_time),
    "metadata-options.http-endpoint": lambda i: _text(i.metadata_options.http_endpoint),
    "metadata-options.http-put-response-hop-limit": lambda i: _text(i.metadata_options.http_put_response_hop_limit),
    "metadata-options.http-tokens": lambda i: _text(i.metadata_options.http_tokens),
    "metadata-options.instance-metadata-tags": lambda i: _text(i.metadata_options.instance_metadata_tags),
    "monitoring-state": lambda i: _text(i.monitoring_state),
    "network-interface.addresses.primary": _nics(lambda nic: bool(nic.private_ip_addresses)),
    "network-interface.addresses.private-ip-address": lambda i: _each(
        entry.get("PrivateIpAddress") for nic in i.nics.values() for entry in nic.private_ip_addresses
    ),
    "network-interface.attachment.attachment-id": _nics(lambda nic: nic.attachment_id),
    "network-interface.attachment.delete-on-termination": _nics(lambda nic: bool(nic.delete_on_termination)),
    "network-interface.attachment.device-index": _nics(lambda nic: nic.device_index),
    "network-interface.attachment.instance-id": lambda i: (str(i.id),) if i.nics else (),
    "network-interface.attachment.instance-owner-id": lambda i: _text(i.owner_id) if i.nics else (),
    "network-interface.attachment.status": lambda i: ("attached",) if i.nics else (),
    "network-interface.availability-zone": _nics(lambda nic: nic.availability_zone),
    "network-interface.description": _nics(lambda nic: nic.description),
    "network-interface.group-id": lambda i: _each(group.id for nic in i.nics.values() for group in nic.group_set),
    "network-interface.group-name": lambda i: _each(group.name for nic in i.nics.values() for group in nic.group_set),
    "network-interface.mac-address": _nics(lambda nic: nic.mac_address),
    "network-interface.owner-id": _nics(lambda nic: nic.owner_id),
    "network-interface.private-dns-name": _nics(lambda nic: nic.private_dns_name),
    "network-interface.private-ip-address": _nics(lambda nic: nic.private_ip_address),
    "network-interface.requester-managed": _nics(lambda nic: bool(nic.requester_managed)),
    "network-interface.source-dest-check": _nics(lambda nic: bool(nic.source_dest_check)),
    "network-interface.status": lambda i: ("in-use",) if i.nics else (),
    "network-interface.subnet-id": _nics(lambda nic: nic.subnet_id),
    "network-interface.vpc-id": _nics(lambda nic: nic.vpc_id),
    "owner-id": lambda i: _text(i.owner_id),
    "placement-group-name": lambda i: _text(i.placement.group_name),
    "platform": lambda i: _text(i.platform),
    "private-dns-name": lambda i: _text(i.private_dns_name),
    "product-code": lambda i: _each(i.product_codes),
    "ramdisk-id": lambda i: _text(i.ramdisk),
    "reason": lambda i: _text(i.state_transition_reason),
    "requester-id": lambda _: (),
    "root-device-name": lambda i: _text(i.root_device_name),
    "root-device-type": lambda i: _text(i.root_device_type),
    "source-dest-check": lambda i: _text(bool(i.source_dest_check)),
    "state-reason-code": lambda i: _text(getattr(i.state_reason, "code", "")),
    "state-reason-message": lambda i: _text(getattr(i.state_reason, "message", "")),
    "tenancy": lambda i: _text(i.placement.tenancy),
    "virtualization-type": lambda i: _text(i.virtualization_type),
}


_KNOWN = frozenset((*INDEXED, *_OTHERS, "tag-key", "tag-value"))


def _reachable(status: Mapping[str, Any]) -> Values:
    return _each(detail.get("Status") for detail in status.get("Details") or ())


STATUS: dict[str, Callable[[Any], Values]] = {
    "instance-status.status": lambda i: _text(i.instance_status["Status"]),
    "instance-status.reachability": lambda i: _reachable(i.instance_status),
    "system-status.status": lambda i: _text(i.system_status["Status"]),
    "system-status.reachability": lambda i: _reachable(i.system_status),
    # Nothing is scheduled for an instance here.
    "event.code": lambda _: (),
    "event.description": lambda _: (),
    "event.instance-event-id": lambda _: (),
    "event.not-after": lambda _: (),
    "event.not-before": lambda _: (),
    "event.not-before-deadline": lambda _: (),
}
"""Filters of DescribeInstanceStatus beside those that DescribeInstances has, too."""
_STATUS_TOO = ("availability-zone", "instance-state-code", "instance-state-name")


def status_filters(filters: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Filters by name with their values. Raises Fault for those that DescribeInstanceStatus does not have."""
    for name in filters:
        if name not in STATUS and name not in _STATUS_TOO:
            raise Fault("InvalidParameterValue", f"The filter '{name}' is invalid")
    return {name: tuple(str(value) for value in values) for name, values in filters.items()}


def keys_of(instance: Any, tags: Mapping[str, str]) -> dict[str, Values]:
    """What is indexed of an instance: its values by the filter's name."""
    keys = {name: values(instance) for name, values in INDEXED.items()}
    keys["tag-key"] = tuple(tags)
    keys["tag-value"] = tuple(tags.values())
    for key, value in tags.items():
        keys[f"tag:{key}"] = (value,)
    return keys


def values_of(name: str, instance: Any) -> Values:
    """What a filter that is not indexed looks at."""
    return _OTHERS[name](instance)


def checked(filters: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Filters by name with their values. Raises Fault for those that DescribeInstances does not have."""
    found = {}
    for name, values in filters.items():
        if name not in _KNOWN and not name.startswith("tag:"):
            raise Fault("InvalidParameterValue", f"The filter '{name}' is invalid")
        found[name] = tuple(str(value) for value in values)
    return found


def is_plain(values: Iterable[str]) -> bool:
    """Whether these are values as they are, without wildcards."""
    return not any(_WILD.search(value) for value in values)


def matches(wanted: tuple[str, ...], found: Iterable[str]) -> bool:
    """Whether one of the values fits one of the wanted patterns."""
    pattern = _pattern(wanted)
    return any(pattern(value) for value in found)


@lru_cache(maxsize=256)
def _pattern(wanted: tuple[str, ...]) -> Callable[[str], Any]:
    if is_plain(wanted):
        return frozenset(wanted).__contains__
    return re.compile("|".join(_expression(value) for value in wanted), re.DOTALL).fullmatch


def _expression(value: str) -> str:
    parts, characters = [], iter(value)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append({"*": ".*", "?": "."}.get(character) or re.escape(character))
    return "".join(parts)
