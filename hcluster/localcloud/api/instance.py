"""One instance and one spot request, as EC2 describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.utils import random_spot_request_id

from hcluster.localcloud.api.effects import Broken
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import InstanceState, MotoInstance, StateReason, TaggedEC2Resource

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
ENDED = ("shutting-down", "terminated")


class Instance(MotoInstance):  # type: ignore[misc]
    """An instance whose state says what its machine does.

    It is called like moto's class because moto's serializer finds attributes by it (InstanceLifecycle: ``lifecycle``).
    """

    spot_instance_request_id: str | None = None
    reservation_id: str = ""
    ended: datetime | None = None
    launched = False
    """Whether it ever ran: a launch that fails ends it, a later start that fails does not."""

    def __del__(self) -> None:
        """Moto gives addresses back here; ours belong to interfaces."""

    def prep_nics(self, nic_spec: list[dict[str, Any]], *_: Any, **__: Any) -> None:
        """Attach what ``launch.interfaces`` prepared."""
        self.nics: dict[int, Any] = {}
        try:
            for nic in nic_spec:
                self._attach(nic)
        except Fault:
            for eni in list(self.nics.values()):
                self.detach_eni(eni)
                if eni.delete_on_termination:
                    self.ec2_backend.delete_network_interface(eni.id)
            raise

    def _attach(self, nic: dict[str, Any]) -> None:
        if nic.get("NetworkInterfaceId"):
            eni = self.ec2_backend.get_network_interface(nic["NetworkInterfaceId"])
            if eni.instance is not None:
                raise Fault("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
        else:
            eni = self.ec2_backend.create_network_interface(
                nic["SubnetId"],
                nic.get("PrivateIpAddress"),
                group_ids=list(nic["Groups"]),
                description=nic.get("Description"),
            )
        eni.delete_on_termination = bool(nic["DeleteOnTermination"])
        self.attach_eni(eni, nic["DeviceIndex"])

    def add_tags(self, tag_map: dict[str, str]) -> None:
        """All at once; moto writes one at a time."""
        if tag_map:
            self.ec2_backend.create_tags([self.id], tag_map)

    def become(self, state: str, reason: str = "", message: str = "") -> None:
        """Change the state; ``reason`` is AWS's code ("Client.UserInitiatedShutdown"), ``message`` its text."""
        # A new one, so that the change of this instance is noted.
        self._state = InstanceState(state, CODES[state])
        if state == "terminated":
            self.ended = utcnow()
        if state in ("pending", "running"):
            self._reason, self.state_reason = "", None
        elif reason:
            self.state_reason = StateReason(f"{reason}: {message}", reason)
            stamp = utcnow().strftime("%Y-%m-%d %H:%M:%S GMT")
            self._reason = f"User initiated ({stamp})" if reason.startswith("Client.User") else f"{reason}: {message}"
        self.ec2_backend.announce(self.id, state)

    @property
    def instance_status(self) -> dict[str, Any]:
        """The status check of the instance: one that is frozen or cut off on purpose cannot be reached."""
        status: dict[str, Any] = super().instance_status
        broken = [rule.made for rule, effect in self.ec2_backend.rules.of(Broken) if effect.instance_id == self.id]
        if not broken or status["Status"] != "ok":
            return status
        since = datetime.fromtimestamp(min(broken), UTC)
        return {
            "Details": [{"Name": "reachability", "Status": "failed", "ImpairedSince": since}],
            "Status": "impaired",
        }

    # A terminated instance has no interface any more, so nothing that follows from one.

    @property
    def private_ip(self) -> str | None:
        """Address of the primary interface."""
        return self.nics[0].private_ip_address if 0 in self.nics else None

    @property
    def private_ip_address(self) -> str | None:
        """The same, under the API's name."""
        return self.private_ip

    @property
    def private_dns_name(self) -> str:
        """Name of the primary interface, "" without one."""
        return str(self.nics[0].private_dns_name) if 0 in self.nics else ""

    @property
    def public_ip(self) -> None:
        """There is no public side."""
        return

    @property
    def public_ip_address(self) -> None:
        """There is no public side."""
        return

    @property
    def public_dns_name(self) -> str:
        """There is no public side."""
        return ""


class SpotRequest(TaggedEC2Resource):  # type: ignore[misc]
    """The request that stands behind one spot instance."""

    fate: tuple[str, str] | None = None
    """Status code and message when EC2, not the user, ends the instance."""

    def __init__(self, backend: Any, instance: Instance, specification: dict[str, Any], price: str) -> None:
        self.ec2_backend = backend
        self.id = random_spot_request_id()
        self.spot_instance_request_id = self.id
        self.instance = instance
        self.instance_id = instance.id
        self.launch_specification = specification
        self.launched_availability_zone = instance.placement.zone
        self.type = "one-time"
        self.product_description = "Linux/UNIX"
        self.instance_interruption_behavior = "terminate"
        self.spot_price = price
        self.create_time = utcnow()
        self.state = "active"
        self.status = {
            "Code": "fulfilled",
            "Message": "Your spot request is fulfilled.",
            "UpdateTime": self.create_time,
        }

    def close(self, code: str, message: str) -> None:
        """The instance ended."""
        if self.state != "cancelled":
            self.state = "closed"
        code, message = self.fate or (code, message)
        self.status = {"Code": code, "Message": message, "UpdateTime": utcnow()}

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """For the filters of DescribeSpotInstanceRequests."""
        values = {
            "spot-instance-request-id": self.id,
            "instance-id": self.instance_id,
            "state": self.state,
            "status-code": self.status["Code"],
            "type": self.type,
            "launched-availability-zone": self.launched_availability_zone,
            "product-description": self.product_description,
            "launch.instance-type": self.launch_specification["InstanceType"],
            "launch.image-id": self.launch_specification["ImageId"],
        }
        if filter_name in values:
            return values[filter_name]
        return super().get_filter_value(filter_name, method_name or "DescribeSpotInstanceRequests")
