"""What instances cost: the price list for on-demand, the price history for spot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hcluster.aws.part import Part, Record, chunks
from hcluster.model.price import ListPrice, SpotPrice

ENDPOINTS: Mapping[str, str] = {
    "af": "eu-central-1",
    "ap": "ap-south-1",
    "cn": "cn-northwest-1",
    "eu": "eu-central-1",
    "il": "eu-central-1",
    "me": "eu-central-1",
}
"""Which of the few regions that serve price lists is near, by the first part of a region's name. Each of them knows the
prices of all regions of its partition.
https://docs.aws.amazon.com/general/latest/gr/billing.html"""
ELSEWHERE = "us-east-1"
PRODUCT = "Linux/UNIX"
TYPES_AT_ONCE = 40
"""A filter's value holds 1,024 letters, and a page 100 products."""
_LINUX = {
    "capacitystatus": "Used",
    "operatingSystem": "Linux",
    "operation": "RunInstances",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
}
"""Of the many products of an instance type, the one that a plain Linux instance is billed as."""


class AwsPrices(Part):
    """Implements ``hcluster.ports.Prices``."""

    def on_demand(self, types: Sequence[str]) -> dict[str, ListPrice]:
        """The price of each type in the region; those that the list does not hold are left out."""
        found: dict[str, set[ListPrice]] = {}
        for some in chunks(list(dict.fromkeys(types)), TYPES_AT_ONCE):
            for product in self._products(some):
                for price in _prices(product):
                    found.setdefault(price.instance_type, set()).add(price)
        # Two prices of one type are products that we cannot tell apart: which is ours would be a guess.
        return {name: one for name, prices in found.items() if len(prices) == 1 for one in prices}

    def spot(self, types: Sequence[str], zones: Sequence[str]) -> dict[tuple[str, str], SpotPrice]:
        """The price of each pool (type, zone) now; pools that do not exist are left out."""
        if not types or not zones:
            return {}
        found: dict[tuple[str, str], SpotPrice] = {}
        arguments: dict[str, Any] = {
            "InstanceTypes": list(dict.fromkeys(types)),
            "ProductDescriptions": [PRODUCT],
            "Filters": [{"Name": "availability-zone", "Values": list(dict.fromkeys(zones))}],
            # With the present as its start the history holds what is in force, and no more.
            "StartTime": datetime.fromtimestamp(self._clock.now(), UTC),
        }
        for one in self._pages("reading spot prices", "describe_spot_price_history", "SpotPriceHistory", **arguments):
            price = SpotPrice(
                str(one["InstanceType"]), str(one["AvailabilityZone"]), float(one["SpotPrice"]), one["Timestamp"]
            )
            pool = (price.instance_type, price.zone)
            if pool not in found or found[pool].since < price.since:
                found[pool] = price
        return found

    def _products(self, types: Sequence[str]) -> Iterator[Record]:
        region = self._session.region()
        near = ENDPOINTS.get(region.partition("-")[0], ELSEWHERE)
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in {**_LINUX, "regionCode": region}.items()
        ]
        filters.append({"Type": "ANY_OF", "Field": "instanceType", "Value": ",".join(types)})
        with self._session.call("reading the price list"):
            paginator = self._session.client("pricing", near).get_paginator("get_products")
            for page in paginator.paginate(ServiceCode="AmazonEC2", Filters=filters):
                yield from (json.loads(text) for text in page.get("PriceList", []))


def _prices(product: Record) -> Iterator[ListPrice]:
    """The hourly prices of one product of the list. Shape:
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html"""
    name = str(product["product"]["attributes"]["instanceType"])
    published = datetime.fromisoformat(str(product["publicationDate"]))
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            usd = float(dimension["pricePerUnit"].get("USD", 0))
            if dimension["unit"] == "Hrs" and usd > 0:
                yield ListPrice(name, usd, published)
