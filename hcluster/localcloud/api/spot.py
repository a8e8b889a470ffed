"""Spot requests: their states and status codes, and that cancelling one leaves its instance alone.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instances-request-status-lifecycle.html
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.utils import generic_filter

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import EC2Response

FULFILLED = ("fulfilled", "Your Spot request is fulfilled.")
MARKED = {
    "terminate": ("marked-for-termination", "Your Spot Instance is marked for termination."),
    "stop": ("marked-for-stop", "Your Spot Instance is marked for stopping."),
    "hibernate": ("marked-for-stop", "Your Spot Instance is marked for hibernation."),
}
ENDED = {
    "no-capacity": (
        "instance-terminated-no-capacity",
        "Your Spot Instance was terminated because there is no longer enough Spot capacity available.",
    ),
    "price": (
        "instance-terminated-by-price",
        "Your Spot Instance was terminated because the Spot price exceeds your maximum price.",
    ),
}
STOPPED = {
    "no-capacity": (
        "instance-stopped-no-capacity",
        "Your Spot Instance was stopped because there is no longer enough Spot capacity available.",
    ),
    "price": (
        "instance-stopped-by-price",
        "Your Spot Instance was stopped because the Spot price exceeds your maximum price.",
    ),
}
STOPPED_BY_USER = ("instance-stopped-by-user", "Your Spot Instance was stopped by you.")
BY_USER = ("instance-terminated-by-user", "Your Spot Instance was terminated by you.")
RUNS_ON = (
    "request-canceled-and-instance-running",
    "Your Spot request is canceled, but your instance is still running.",
)


def status(code_and_message: tuple[str, str]) -> dict[str, Any]:
    """A request's status as the API shows it, of now."""
    code, message = code_and_message
    return {"Code": code, "Message": message, "UpdateTime": utcnow()}


class SpotRequests:
    """The records of spot requests."""

    spot_instance_requests: dict[str, Any]
    work: Any

    def stop_now(self, instance: Any, reason: str, message: str) -> None:
        """Stop an instance for a reason of EC2's own."""
        if instance.state in ("pending", "running"):
            instance.become("stopping", reason, message)
            self.work.power_off(instance)

    def demand_stoppable(self, instance: Any) -> None:
        """Raise Fault for a spot instance whose request would not start it again."""
        if instance.lifecycle != "spot":
            return
        request = self.spot_instance_requests.get(instance.spot_instance_request_id)
        if request is None or request.type != "persistent" or request.state != "active":
            raise Fault(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot"
                " Instance request. You can only stop Spot Instances associated with persistent requests.",
            )

    def demand_startable(self, instance: Any) -> None:
        """Raise Fault for a spot instance that only EC2, which stopped it, starts again."""
        request = self.spot_instance_requests.get(instance.spot_instance_request_id)
        if request is not None and request.status["Code"] != STOPPED_BY_USER[0]:
            raise Fault(
                "IncorrectSpotRequestState",
                f"You can't start the Spot Instance '{instance.id}' because the associated Spot Instance request is not"
                " in an appropriate state to support start.",
            )

    def stopped_by_user(self, instance: Any) -> None:
        """The user stops an instance: its request waits."""
        request = self.spot_instance_requests.get(instance.spot_instance_request_id)
        if request is not None:
            request.state, request.status = "disabled", status(STOPPED_BY_USER)

    def started_by_user(self, instance: Any) -> None:
        """The user starts it again."""
        request = self.spot_instance_requests.get(instance.spot_instance_request_id)
        if request is not None:
            request.state, request.status = "active", status(FULFILLED)

    def start_again(self, instance: Any) -> None:
        """Start an instance that EC2 had stopped."""
        if instance.state == "stopped":
            instance.become("pending")
            self.work.boot(instance)

    def describe_spot_instance_requests(self, filters: Any = None, spot_instance_ids: Any = None) -> list[Any]:
        """DescribeSpotInstanceRequests; an unknown id is an error."""
        found = self._spot_requests(list(spot_instance_ids)) if spot_instance_ids else None
        return list(generic_filter(filters, list(self.spot_instance_requests.values()) if found is None else found))

    def cancel_spot_instance_requests(self, request_ids: list[str]) -> list[Any]:
        """CancelSpotInstanceRequests: instances run on, requests are still described."""
        found = self._spot_requests(request_ids)
        for request in found:
            if request.state in ("active", "open", "disabled"):
                request.state = "cancelled"
                request.status = status(RUNS_ON)
        return found

    def _spot_requests(self, request_ids: list[str]) -> list[Any]:
        if missing := [request_id for request_id in request_ids if request_id not in self.spot_instance_requests]:
            raise Fault(
                "InvalidSpotInstanceRequestID.NotFound",
                f"The spot instance request ID '{', '.join(missing)}' does not exist",
            )
        return [self.spot_instance_requests[request_id] for request_id in request_ids]


class SpotOperations(EC2Response):  # type: ignore[misc]
    """EC2's operations on spot requests."""

    def cancel_spot_instance_requests(self) -> ActionResult:
        """CancelSpotInstanceRequests."""
        if self._get_param("DryRun"):
            raise DryRunClientError
        request_ids = self._get_param("SpotInstanceRequestIds", [])
        if not request_ids:
            raise Fault("MissingParameter", "The request must contain the parameter SpotInstanceRequestId")
        found = self.ec2_backend.cancel_spot_instance_requests(request_ids)
        shown = [{"SpotInstanceRequestId": request.id, "State": request.state} for request in found]
        return ActionResult({"CancelledSpotInstanceRequests": shown})
