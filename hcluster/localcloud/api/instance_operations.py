"""DescribeInstances and the answers of launches: whole pages of instances in milliseconds."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.ec2.exceptions import InvalidInstanceIdError

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.instance_filters import STATUS, checked, matches, status_filters
from hcluster.localcloud.api.instance_index import InstanceIndex, View
from hcluster.localcloud.api.serializing import Text, frame, text_of

LEAST, MOST = 5, 1000
"""Instances a page, as AWS has it."""
_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")

Answer = tuple[int, dict[str, str], str]


@cache
def writer(changes: tuple[tuple[str, Any], ...]) -> Text:
    """What writes one instance of DescribeInstances; ``changes``: what moto does to values at paths."""
    shape = get_service_model("ec2").operation_model("DescribeInstances").output_shape
    reservation = shape.members["Reservations"].member
    path = "DescribeInstances.DescribeInstancesResult.Reservations.Reservation.Instances.Instance"
    return text_of(reservation.members["Instances"].member, path, dict(changes))


def page(views: Sequence[View], request: dict[str, Any]) -> tuple[Sequence[View], str | None]:
    """The page that a request asks for, and the token of the next one. A token says after which launch it goes on, so
    that instances that come and go meanwhile move none of the others to another page."""
    most = MOST
    if request.get("MaxResults") is not None:
        most = int(request["MaxResults"])
        if most < LEAST:
            text = f"Value ( {most} ) for parameter maxResults is invalid. Expecting a value greater than {LEAST}."
            raise Fault("InvalidParameterValue", text)
    if request.get("NextToken"):
        after = _number(str(request["NextToken"]))
        views = [view for view in views if view.number > after]
    elif request.get("InstanceIds"):
        return views, None
    most = min(most, MOST)
    if len(views) <= most:
        return views, None
    return views[:most], _token(views[most - 1].number)


class InstanceOperations:
    """A part of the response to one request."""

    def describe_instances(self: Any) -> Answer:
        """DescribeInstances."""
        request = self._request()
        filters = checked(self._filters_from_querystring())
        index: InstanceIndex = self._backend.index
        views: Sequence[View] | None = None
        if request.get("InstanceIds"):
            if request.get("MaxResults") is not None:
                text = "The parameter instancesSet cannot be used with the parameter maxResults"
                raise Fault("InvalidParameterCombination", text)
            views = _named(index, [str(i) for i in request["InstanceIds"]])
        shown, token = page(index.find(filters, views), request)
        parts: list[str] = []
        reservation = None
        for view in shown:
            if view.reservation_id != reservation:
                parts.append("</instancesSet></item>" if parts else "")
                parts.append(f"<item>{_reservation(view.reservation_id, self._backend.account_id)}<instancesSet>")
                reservation = view.reservation_id
            parts.append(f"<item>{index.text(view)}</item>")
        if parts:
            parts.append("</instancesSet></item>")
        members = f"<reservationSet>{''.join(parts)}</reservationSet>" if parts else "<reservationSet/>"
        if token:
            members += f"<nextToken>{token}</nextToken>"
        return _whole("DescribeInstances", members)

    def describe_instance_status(self: Any) -> ActionResult:
        """DescribeInstanceStatus: of running instances, unless told to include all."""
        request = self._request()
        filters = status_filters(self._filters_from_querystring())
        index: InstanceIndex = self._backend.index
        ids = [str(i) for i in request.get("InstanceIds") or ()]
        if ids and request.get("MaxResults") is not None:
            text = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise Fault("InvalidParameterCombination", text)
        if str(request.get("IncludeAllInstances") or "").lower() != "true":
            filters.setdefault("instance-state-name", ("running",))
        plain = {name: values for name, values in filters.items() if name not in STATUS}
        found = index.find(plain, _named(index, ids) if ids else None)
        for name in filters.keys() - plain.keys():
            found = [view for view in found if matches(filters[name], STATUS[name](view.instance))]
        shown, token = page(found, request)
        return ActionResult({"InstanceStatuses": [view.instance for view in shown], "NextToken": token})

    def launched(self: Any, reservation: Any) -> Answer:
        """The answer of RunInstances."""
        index: InstanceIndex = self._backend.index
        views = [view for view in (index.view(instance.id) for instance in reservation.instances) if view]
        items = "".join(f"<item>{index.text(view)}</item>" for view in views)
        members = f"{_reservation(reservation.id, self._backend.account_id)}<instancesSet>{items}</instancesSet>"
        return _whole("RunInstances", members)

    @staticmethod
    def _enrich_response(headers: dict[str, Any], body: Any) -> tuple[dict[str, Any], Any]:
        """Moto looks for a place for the request's id in all of the answer; ours is in it."""
        return {name: str(value) for name, value in headers.items()}, body


def _named(index: InstanceIndex, ids: list[str]) -> list[View]:
    for instance_id in ids:
        if not _ID.fullmatch(instance_id):
            raise Fault("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    views, missing = index.shown(ids)
    if missing:
        raise InvalidInstanceIdError(missing)
    return views


def _reservation(reservation_id: str, account: str) -> str:
    return f"<reservationId>{reservation_id}</reservationId><ownerId>{account}</ownerId><groupSet/>"


def _whole(operation: str, members: str) -> Answer:
    head, tail = frame(get_service_model("ec2").operation_model(operation))
    return 200, {"Content-Type": "text/xml;charset=UTF-8"}, f"{head}{members}{tail}"


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(f"instances after {number}".encode()).decode()


def _number(token: str) -> int:
    try:
        text = base64.urlsafe_b64decode(token).decode()
        return int(text.removeprefix("instances after "))
    except (binascii.Error, ValueError):
        raise Fault("InvalidParameterValue", "Unable to parse pagination token") from None
