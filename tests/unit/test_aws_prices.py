"""Where the adapter asks for prices, and which of a price list's products it believes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from hcluster.aws.prices import AwsPrices
from hcluster.aws.session import AwsSession
from hcluster.errors import DeniedError
from hcluster.testing import ManualClock


def product(name: str, *usd: str, unit: str = "Hrs") -> str:
    dimensions = {f"r{place}": {"unit": unit, "pricePerUnit": {"USD": one}} for place, one in enumerate(usd)}
    return json.dumps(
        {
            "product": {"attributes": {"instanceType": name}},
            "publicationDate": "2026-07-20T00:00:00Z",
            "terms": {"OnDemand": {"o": {"priceDimensions": dimensions}}},
        }
    )


def prices(folder: Path, region: str) -> tuple[AwsPrices, AwsSession]:
    (folder / "config").write_text("[profile p]\n")
    (folder / "credentials").write_text("[p]\naws_access_key_id = a\naws_secret_access_key = b\n")
    session = AwsSession("p", folder, region)
    return AwsPrices(session, ManualClock()), session


@contextmanager
def listing(session: AwsSession, near: str, *products: str) -> Iterator[None]:
    with Stubber(session.client("pricing", near)) as stub:
        stub.add_response("get_products", {"PriceList": list(products)}, {"ServiceCode": "AmazonEC2", "Filters": ANY})
        yield
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("region", "near"),
    [
        ("us-west-2", "us-east-1"),
        ("eu-north-1", "eu-central-1"),
        ("ap-southeast-2", "ap-south-1"),
        ("sa-east-1", "us-east-1"),
        ("cn-north-1", "cn-northwest-1"),
    ],
)
def test_the_price_list_is_read_where_it_is_served(tmp_path: Path, region: str, near: str) -> None:
    reader, session = prices(tmp_path, region)
    assert near in str(session.client("pricing", near).meta.endpoint_url)
    with listing(session, near, product("m5.large", "0.1070000000")):
        assert reader.on_demand(["m5.large"])["m5.large"].usd == 0.107


def test_two_prices_of_one_type_are_no_price(tmp_path: Path) -> None:
    reader, session = prices(tmp_path, "us-east-1")
    twice = product("m5.large", "0.096"), product("m5.large", "0.188"), product("m5.xlarge", "0.192")
    with listing(session, "us-east-1", *twice):
        assert set(reader.on_demand(["m5.large", "m5.xlarge"])) == {"m5.xlarge"}


def test_what_is_not_billed_by_the_hour_or_costs_nothing_is_no_price(tmp_path: Path) -> None:
    reader, session = prices(tmp_path, "us-east-1")
    other = product("m5.large", "0.0000000000"), product("m5.xlarge", "9", unit="Quantity")
    with listing(session, "us-east-1", *other):
        assert reader.on_demand(["m5.large", "m5.xlarge"]) == {}


def test_whoever_may_not_read_prices_is_told_so(tmp_path: Path) -> None:
    reader, session = prices(tmp_path, "us-east-1")
    with Stubber(session.client("pricing", "us-east-1")) as stub:
        stub.add_client_error("get_products", "AccessDeniedException", "not authorized to perform pricing:GetProducts")
        with pytest.raises(DeniedError, match="reading the price list"):
            reader.on_demand(["m5.large"])


def test_of_several_prices_of_a_pool_the_newest_is_in_force(tmp_path: Path) -> None:
    reader, session = prices(tmp_path, "us-east-1")

    def change(usd: str, day: int) -> dict[str, Any]:
        at = f"2026-01-0{day}T00:00:00Z"
        return {"InstanceType": "m5.large", "AvailabilityZone": "us-east-1a", "SpotPrice": usd, "Timestamp": at}

    with Stubber(session.client("ec2")) as stub:
        stub.add_response(
            "describe_spot_price_history",
            {"SpotPriceHistory": [change("0.03", 1), change("0.04", 3), change("0.05", 2)]},
        )
        (found,) = reader.spot(["m5.large"], ["us-east-1a"]).values()
    assert found.usd == 0.04
