"""ModifyInstanceAttribute: what may change of an instance, and in which state.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from moto.core.responses import EmptyResult
from moto.ec2.utils import parse_user_data

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.instance import ENDED, Instance
from hcluster.localcloud.api.parts import EC2Response

_STOPPED_ONLY = ("InstanceType", "UserData", "Kernel", "Ramdisk", "EbsOptimized", "EnaSupport", "SriovNetSupport")
_ATTRIBUTES = (
    *_STOPPED_ONLY,
    "DisableApiStop",
    "DisableApiTermination",
    "InstanceInitiatedShutdownBehavior",
    "SourceDestCheck",
    "Groups",
    "BlockDeviceMappings",
)
_BY_NAME = {name[0].lower() + name[1:]: name for name in _ATTRIBUTES} | {
    "groupSet": "Groups",
    "blockDeviceMapping": "BlockDeviceMappings",
}
"""What the parameter Attribute calls them."""


class AttributeOperations(EC2Response):  # type: ignore[misc]
    """One request to EC2 about an instance's attributes."""

    _backend: Any

    def modify_instance_attribute(self) -> EmptyResult:
        """ModifyInstanceAttribute: one attribute a call."""
        request = self._request()
        instance = self._backend.get_instance(str(request.get("InstanceId")))
        name, value = _asked(request)
        if instance.state in ENDED:
            raise Fault("IncorrectInstanceState", f"The instance '{instance.id}' is {instance.state}.")
        if name in _STOPPED_ONLY and instance.state != "stopped":
            raise Fault("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")
        setters = {
            "InstanceType": self._set_type,
            "UserData": self._set_user_data,
            "DisableApiTermination": self._set_termination_protection,
            "DisableApiStop": self._set_stop_protection,
            "InstanceInitiatedShutdownBehavior": self._set_shutdown_behaviour,
            "EbsOptimized": self._set_ebs_optimized,
            "SourceDestCheck": self._set_source_dest_check,
            "Groups": self._set_groups,
            "BlockDeviceMappings": self._set_mappings,
        }
        if name not in setters:
            raise Fault("UnsupportedOperation", f"The local cloud can't modify the attribute {name} of an instance.")
        setters[name](instance, value)
        return EmptyResult()

    def _set_type(self, instance: Instance, value: Any) -> None:
        image = self._backend.amis.get(instance.image_id)
        try:
            self._backend.demand_offered(str(value), instance.placement.zone, image)
        except Fault as fault:
            if fault.code == "InvalidParameterValue":
                raise Fault("InvalidInstanceAttributeValue", fault.message) from fault
            raise
        instance.instance_type = str(value)

    @staticmethod
    def _set_user_data(instance: Instance, value: Any) -> None:
        # A blob comes decoded, text as it was sent: in Base64.
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        instance.user_data = parse_user_data(text) if text else None

    @staticmethod
    def _set_termination_protection(instance: Instance, value: Any) -> None:
        if _true(value) and instance.lifecycle == "spot":
            raise Fault("UnsupportedOperation", "Termination protection is not supported for Spot Instances.")
        instance.disable_api_termination = _true(value)

    @staticmethod
    def _set_stop_protection(instance: Instance, value: Any) -> None:
        instance.disable_api_stop = _true(value)

    @staticmethod
    def _set_shutdown_behaviour(instance: Instance, value: Any) -> None:
        if value not in ("stop", "terminate"):
            raise Fault(
                "InvalidParameterValue",
                f"Value ({value}) for parameter instanceInitiatedShutdownBehavior is invalid. Expected: stop,"
                " terminate.",
            )
        instance.instance_initiated_shutdown_behavior = value

    @staticmethod
    def _set_ebs_optimized(instance: Instance, value: Any) -> None:
        instance.ebs_optimized = _true(value)

    def _set_source_dest_check(self, instance: Instance, value: Any) -> None:
        self._demand_one_interface(instance)
        self._backend.modify_network_interface_attribute(instance.nics[0].id, [], _true(value))
        instance.source_dest_check = _true(value)

    def _set_groups(self, instance: Instance, value: Any) -> None:
        self._demand_one_interface(instance)
        groups = []
        for group_id in value or ():
            group = self._backend.get_security_group_from_id(group_id)
            if group is None:
                raise Fault("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
            if group.vpc_id != instance.nics[0].subnet.vpc_id:
                text = f"You have specified two resources that belong to different networks: {group_id}."
                raise Fault("InvalidParameterValue", text)
            groups.append(group)
        if not groups:
            raise Fault("MissingParameter", "The request must contain the parameter Groups")
        self._backend.modify_network_interface_attribute(instance.nics[0].id, [group.id for group in groups])
        instance.security_groups = groups

    @staticmethod
    def _demand_one_interface(instance: Instance) -> None:
        if len(instance.nics) > 1:
            text = f"There are multiple interfaces attached to instance '{instance.id}'. Please specify an interface ID"
            raise Fault("InvalidInstanceID", f"{text} for the operation instead.")

    @staticmethod
    def _set_mappings(instance: Instance, value: Any) -> None:
        for mapping in value or ():
            device = instance.block_device_mapping.get(mapping.get("DeviceName"))
            keep = (mapping.get("Ebs") or {}).get("DeleteOnTermination")
            if device is None:
                text = f"No device is currently mapped at {mapping.get('DeviceName')}"
                raise Fault("InvalidInstanceAttributeValue", text)
            if keep is not None:
                device.delete_on_termination = _true(keep)
        # The mapping changed in depth; setting it tells whoever keeps records.
        instance.block_device_mapping = instance.block_device_mapping


def _asked(request: Mapping[str, Any]) -> tuple[str, Any]:
    """(attribute, value), from either of the two ways to say it."""
    if attribute := request.get("Attribute"):
        if attribute not in _BY_NAME:
            text = f"Value ({attribute}) for parameter attribute is invalid. Unknown attribute."
            raise Fault("InvalidParameterValue", text)
        if _BY_NAME[attribute] not in ("Groups", "BlockDeviceMappings"):
            return _BY_NAME[attribute], request.get("Value")
    given = [name for name in _ATTRIBUTES if request.get(name) not in (None, [], {})]
    if not given:
        raise Fault("InvalidParameterCombination", "No attributes specified.")
    if len(given) > 1:
        raise Fault("InvalidParameterCombination", f"Fields for multiple attribute types specified: {', '.join(given)}")
    value = request[given[0]]
    return given[0], value.get("Value") if isinstance(value, dict) else value


def _true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
