"""The price list as the Pricing service nests it: one document a product, with its attributes and terms.

Shape: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html.
Only what has a price here is listed: Linux instances, on-demand, shared, in us-east-1. SKUs are the local cloud's own.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from hcluster.localcloud.api.market import offerings, prices
from hcluster.localcloud.api.market.offerings import MIB_PER_GIB, TypeFacts

SERVICE = "AmazonEC2"
TERM, HOURLY = "JRTCKXETXF", "6YS6EN2CT7"
"""AWS's codes of the on-demand term and of its rate by the hour."""
_EFFECTIVE = f"{prices.LISTED:%Y-%m}-01T00:00:00Z"
_FAMILIES = {
    "m": "General purpose",
    "t": "General purpose",
    "c": "Compute optimized",
    "r": "Memory optimized",
    "i": "Storage optimized",
}


@functools.cache
def products() -> tuple[dict[str, Any], ...]:
    """Every product, in the order of its type's name."""
    return tuple(_product(one) for one in offerings.catalogue().values())


def _product(one: TypeFacts) -> dict[str, Any]:
    sku = base64.b32encode(hashlib.sha256(one.name.encode()).digest()).decode()[:16]
    offer, price = f"{sku}.{TERM}", prices.on_demand(one.name)
    rate = f"{offer}.{HOURLY}"
    dimension = {
        "unit": "Hrs",
        "endRange": "Inf",
        "description": f"${price} per On Demand Linux {one.name} Instance Hour",
        "appliesTo": [],
        "rateCode": rate,
        "beginRange": "0",
        "pricePerUnit": {"USD": f"{price:.10f}"},
    }
    term = {
        "priceDimensions": {rate: dimension},
        "sku": sku,
        "effectiveDate": _EFFECTIVE,
        "offerTermCode": TERM,
        "termAttributes": {},
    }
    return {
        "product": {"productFamily": "Compute Instance", "attributes": _attributes(one), "sku": sku},
        "serviceCode": SERVICE,
        "terms": {"OnDemand": {offer: term}},
        "version": f"{prices.LISTED:%Y%m%d}000000",
        "publicationDate": f"{prices.LISTED:%Y-%m-%d}T00:00:00Z",
    }


def _attributes(one: TypeFacts) -> dict[str, str]:
    network, memory = one.facts.get("NetworkInfo") or {}, one.memory_mib / MIB_PER_GIB
    processor = one.facts["ProcessorInfo"]
    disks = one.facts.get("InstanceStorageInfo") or {}
    storage = ", ".join(
        f"{disk['Count']} x {disk['SizeInGB']} {str(disk['Type']).upper()}" for disk in disks.get("Disks") or ()
    )
    return {
        "servicecode": SERVICE,
        "servicename": "Amazon Elastic Compute Cloud",
        "location": "US East (N. Virginia)",
        "locationType": "AWS Region",
        "regionCode": "us-east-1",
        "instanceType": one.name,
        "instanceFamily": _FAMILIES.get(one.name[0], "General purpose"),
        "currentGeneration": "Yes" if one.facts.get("CurrentGeneration") else "No",
        "vcpu": str(one.vcpus),
        "memory": f"{memory:g} GiB",
        "storage": storage or "EBS only",
        "networkPerformance": str(network.get("NetworkPerformance") or ""),
        "processorArchitecture": "64-bit",
        "clockSpeed": f"{processor.get('SustainedClockSpeedInGhz', '')} GHz",
        "tenancy": "Shared",
        "operatingSystem": "Linux",
        "licenseModel": "No License required",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "operation": "RunInstances",
        "usagetype": f"BoxUsage:{one.name}",
    }


def attributes_of(product: Mapping[str, Any]) -> dict[str, str]:
    """What filters compare: the attributes, and the family of products, the SKU and the service beside them."""
    inner = product["product"]
    return {
        **inner["attributes"],
        "productFamily": inner["productFamily"],
        "sku": inner["sku"],
        "ServiceCode": product["serviceCode"],
    }


def matching(filters: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The products that pass all filters (GetProducts: Type, Field, Value)."""
    wanted = list(filters)
    return [product for product in products() if all(_passes(one, attributes_of(product)) for one in wanted)]


def _passes(one: Mapping[str, str], attributes: Mapping[str, str]) -> bool:
    has, value = attributes.get(one["Field"], "").lower(), one["Value"].lower()
    listed = [part.strip() for part in value.split(",")]
    kinds = {"CONTAINS": value in has, "ANY_OF": has in listed, "NONE_OF": has not in listed}
    return kinds.get(one.get("Type") or "TERM_MATCH", has == value)
