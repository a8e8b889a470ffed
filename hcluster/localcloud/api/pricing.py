"""The Pricing service: on-demand prices of the types that have machines here, dated."""

from __future__ import annotations

import json
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.market import price_list
from hcluster.localcloud.api.paging import page
from hcluster.localcloud.api.parts import BaseResponse

FORMAT = "aws_v1"
FILTERS = ("TERM_MATCH", "EQUALS", "CONTAINS", "ANY_OF", "NONE_OF")
MOST = 100


class PricingResponse(BaseResponse):  # type: ignore[misc]
    """One request to Pricing."""

    def __init__(self) -> None:
        super().__init__(service_name="pricing")

    def get_products(self) -> str:
        """GetProducts."""
        request = self._of_service()
        filters = request.get("Filters") or []
        for one in filters:
            if one.get("Type") not in FILTERS or not one.get("Field") or one.get("Value") is None:
                raise _invalid("Input Parameters are invalid. A filter needs Type, Field and Value.")
        found = price_list.matching(filters)
        shown, token = page(found, request, MOST, "InvalidNextTokenException")
        return _answer({"FormatVersion": FORMAT, "PriceList": [json.dumps(one) for one in shown], "NextToken": token})

    def describe_services(self) -> str:
        """DescribeServices."""
        request = json.loads(self.body or "{}")
        if request.get("ServiceCode"):
            self._of_service()
        names = sorted(price_list.attributes_of(price_list.products()[0]))
        services = [{"ServiceCode": price_list.SERVICE, "AttributeNames": names}]
        return _answer({"Services": services, "FormatVersion": FORMAT})

    def get_attribute_values(self) -> str:
        """GetAttributeValues."""
        request = self._of_service()
        name = str(request.get("AttributeName") or "")
        values = sorted({price_list.attributes_of(one).get(name, "") for one in price_list.products()} - {""})
        if not values:
            raise Fault("NotFoundException", f"The attribute '{name}' of {price_list.SERVICE} was not found.")
        shown, token = page([{"Value": value} for value in values], request, MOST, "InvalidNextTokenException")
        return _answer({"AttributeValues": shown, "NextToken": token})

    def _of_service(self) -> dict[str, Any]:
        request: dict[str, Any] = json.loads(self.body or "{}")
        if request.get("FormatVersion") not in (None, FORMAT):
            raise _invalid(f"Input Parameters are invalid. FormatVersion is {FORMAT}.")
        code = request.get("ServiceCode")
        if not code:
            raise _invalid("Input Parameters are invalid. ServiceCode is required.")
        if code != price_list.SERVICE:
            raise Fault("NotFoundException", f"The local cloud has no price list of the service '{code}'.")
        return request


def _answer(document: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in document.items() if value is not None})


def _invalid(text: str) -> Fault:
    return Fault("InvalidParameterException", text)
