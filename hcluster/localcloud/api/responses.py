"""EC2's operations where moto's own answer is missing or wrong."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.exceptions import DryRunClientError

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.attribute_operations import AttributeOperations
from hcluster.localcloud.api.checks import Checks
from hcluster.localcloud.api.dry_run import DryRun
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.fleets import CloudBackend
from hcluster.localcloud.api.gateway import caller
from hcluster.localcloud.api.group_operations import GroupOperations
from hcluster.localcloud.api.image_operations import ImageOperations
from hcluster.localcloud.api.instance_operations import InstanceOperations
from hcluster.localcloud.api.launch import Order
from hcluster.localcloud.api.market_operations import MarketOperations
from hcluster.localcloud.api.parts import ConnectResponse as MotoConnectResponse
from hcluster.localcloud.api.parts import EC2Response, ec2_backends
from hcluster.localcloud.api.placement import PlacementOperations
from hcluster.localcloud.api.spot import SpotOperations
from hcluster.localcloud.api.tags import TagOperations
from hcluster.localcloud.api.template_operations import TemplateOperations
from hcluster.localcloud.api.volume_operations import VolumeOperations
from hcluster.localcloud.machines import Machines


def _pairs(found: list[tuple[Any, Any]], name: str) -> ActionResult:
    changes = [
        {"InstanceId": i.id, "CurrentState": {"Code": i.state_code, "Name": i.state}, "PreviousState": before}
        for i, before in found
    ]
    return ActionResult({name: changes})


class CloudResponse(
    DryRun,
    Checks,
    AttributeOperations,
    MarketOperations,
    PlacementOperations,
    TemplateOperations,
    SpotOperations,
    GroupOperations,
    VolumeOperations,
    ImageOperations,
    InstanceOperations,
    TagOperations,
    EC2Response,  # type: ignore[misc]
):
    """One request to EC2."""

    @property
    def _backend(self) -> CloudBackend:
        return cast("CloudBackend", self.ec2_backend)

    def _request(self) -> dict[str, Any]:
        """The parameters as a plain dictionary in the API's shape."""
        if self._get_param("DryRun"):
            raise DryRunClientError
        return {str(key): value for key, value in dict(self.params).items() if key != "DryRun"}

    def run_instances(self) -> Any:
        """RunInstances."""
        request = self._request()
        token = request.pop("ClientToken", None)
        if request.get("NetworkInterfaces") and request.get("SubnetId"):
            message = "Network interfaces and an instance-level subnet ID may not be specified on the same request"
            raise Fault("InvalidParameterCombination", message)
        launch.check_user_data(request)
        minimum, maximum = int(request.get("MinCount", 1)), int(request.get("MaxCount", 1))
        if not 1 <= minimum <= maximum:
            raise Fault("InvalidParameterValue", f"MinCount {minimum} and MaxCount {maximum} do not fit.")

        def make() -> Any:
            template = self._backend.template_of(request.get("LaunchTemplate"))
            data = launch.merge(template.data if template else {}, request)
            spot = (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"
            return self._backend.launch(Order(data, spot, template, client_token=token or ""), minimum, maximum)

        return self.launched(self._backend.once("RunInstances", token, request, make))

    def create_fleet(self) -> ActionResult:
        """CreateFleet of type instant."""
        request = self._request()
        token = request.pop("ClientToken", None)
        who = caller(self.normalized_request.environ).arn
        fleet = self._backend.once("CreateFleet", token, request, lambda: self._backend.launch_fleet(request, who))
        return ActionResult({"FleetId": fleet.id, "Instances": fleet.instances, "Errors": fleet.errors})

    def describe_fleet_instances(self) -> ActionResult:
        """Not for instant fleets, as on AWS."""
        raise Fault(
            "Unsupported", "DescribeFleetInstances does not support fleets of type instant; use DescribeInstances."
        )

    def create_network_interface(self) -> ActionResult:
        """CreateNetworkInterface, idempotent by its client token."""
        request = self._request()
        token = request.pop("ClientToken", None)
        tags = launch.joined_tags(request.get("TagSpecifications") or ()).get("network-interface", {})
        eni = self._backend.once(
            "CreateNetworkInterface",
            token,
            request,
            lambda: self._backend.create_network_interface(
                self._backend.get_subnet(request["SubnetId"]),
                request.get("PrivateIpAddress"),
                request.get("PrivateIpAddresses"),
                list(request.get("Groups") or ()),
                request.get("Description"),
                tags,
            ),
        )
        return ActionResult({"NetworkInterface": eni})

    def terminate_instances(self) -> ActionResult:
        """TerminateInstances."""
        return _pairs(
            self._backend.terminate_instances(self._request().get("InstanceIds") or []), "TerminatingInstances"
        )

    def stop_instances(self) -> ActionResult:
        """StopInstances."""
        return _pairs(self._backend.stop_instances(self._request().get("InstanceIds") or []), "StoppingInstances")

    def start_instances(self) -> ActionResult:
        """StartInstances."""
        return _pairs(self._backend.start_instances(self._request().get("InstanceIds") or []), "StartingInstances")

    def create_image(self) -> ActionResult:
        """CreateImage."""
        return ActionResult({"ImageId": self._backend.capture_image(self._request()).id})

    def modify_image_attribute(self) -> Any:
        """ModifyImageAttribute; ImdsSupport is the one that moto forgets."""
        request = self._request()
        support = (request.get("ImdsSupport") or {}).get("Value")
        if request.get("Attribute") == "imdsSupport":
            support = request.get("Value")
        image = self._backend.describe_images(ami_ids=[request["ImageId"]])[0]
        if image.owner_id != self._backend.account_id:
            raise Fault("AuthFailure", f"Not authorized for image:{image.id}", 403)
        if support is None:
            return super().modify_image_attribute()
        if support != "v2.0":
            raise Fault("InvalidParameterValue", f"Value ({support}) for parameter imdsSupport is invalid.")
        image.imds_support = support
        return EmptyResult()

    def modify_instance_metadata_options(self) -> ActionResult:
        """ModifyInstanceMetadataOptions; what is not named keeps its value."""
        request = self._request()
        options = self._backend.get_instance(str(request.get("InstanceId"))).metadata_options
        names = {
            "HttpTokens": "http_tokens",
            "HttpEndpoint": "http_endpoint",
            "HttpProtocolIpv6": "http_protocol_ipv6",
            "InstanceMetadataTags": "instance_metadata_tags",
            "HttpPutResponseHopLimit": "http_put_response_hop_limit",
        }
        for name, attribute in names.items():
            if request.get(name) is not None:
                setattr(options, attribute, request[name])
        return ActionResult({"InstanceId": request["InstanceId"], "InstanceMetadataOptions": options})

    def get_console_output(self) -> ActionResult:
        """GetConsoleOutput: what the machine printed."""
        instance = self._backend.get_instance(str(self._request().get("InstanceId")))
        machines: Machines = self.normalized_request.environ["hcluster.machines"]
        output = Base64EncodedString.from_raw_string(machines.console(instance.id))
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


KEY_LIFE = 60.0
"""Seconds that a pushed SSH key opens an instance."""


class ConnectResponse(MotoConnectResponse):  # type: ignore[misc]
    """EC2 Instance Connect, where moto answers without keeping the key."""

    def send_ssh_public_key(self) -> str:
        """SendSSHPublicKey: the instance's metadata shows the key for 60 s."""
        request = json.loads(self.body)
        backend = ec2_backends[self.current_account][self.region]
        instance = backend.by_id.get(request.get("InstanceId"))
        if instance is None or instance.state == "terminated":
            raise Fault("EC2InstanceNotFoundException", f"Instance {request.get('InstanceId')} was not found.")
        if instance.state != "running":
            raise Fault("EC2InstanceStateInvalidException", f"Instance {instance.id} is {instance.state}, not running.")
        key = " ".join(str(request.get("SSHPublicKey") or "").split())
        if not key.startswith(("ssh-", "ecdsa-")):
            raise Fault("InvalidArgsException", "SSHPublicKey is no OpenSSH public key.")
        backend.push_key(instance.id, str(request.get("InstanceOSUser") or ""), key, time.time() + KEY_LIFE)
        return json.dumps({"RequestId": str(uuid.uuid4()), "Success": True})
