"""Spot instances, their requests and prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contract.aws.account import Account, refused
from tests.contract.aws.conftest import Later

SPOT = {"MarketType": "spot"}


def launch(account: Account, later: Later, **more: Any) -> dict[str, Any]:
    """A spot instance."""
    one = account.run(InstanceMarketOptions=SPOT, **more)["Instances"][0]
    later(account.ec2.terminate_instances, InstanceIds=[one["InstanceId"]])
    return dict(one)


def request_of(account: Account, request: str) -> dict[str, Any]:
    """A spot request as it is described."""
    found = account.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])
    return dict(found["SpotInstanceRequests"][0])


def test_a_spot_instance_says_so_and_has_a_request_that_is_active(account: Account, later: Later) -> None:
    """One-time and fulfilled.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html
    """
    one = launch(account, later)
    assert one["InstanceLifecycle"] == "spot"
    request = account.until(
        lambda: request_of(account, one["SpotInstanceRequestId"]), lambda found: found["State"] == "active"
    )
    assert (request["Status"]["Code"], request["Type"]) == ("fulfilled", "one-time")
    assert (request["InstanceId"], request["ProductDescription"]) == (one["InstanceId"], "Linux/UNIX")
    filters = [{"Name": "instance-lifecycle", "Values": ["spot"]}, *account.mine()]
    found = account.ec2.describe_instances(Filters=filters)["Reservations"]
    assert one["InstanceId"] in [each["InstanceId"] for r in found for each in r["Instances"]]


def test_tags_of_the_launch_are_on_the_spot_request_as_well(account: Account, later: Later) -> None:
    """When the call says so.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/concepts-spot-instances-tags.html
    """
    one = launch(account, later, TagSpecifications=account.tagged("instance", "volume", "spot-instances-request"))
    request = account.until(
        lambda: request_of(account, one["SpotInstanceRequestId"]), lambda found: bool(found.get("Tags"))
    )
    assert account.tags[0] in request["Tags"]


def test_ending_a_one_time_spot_instance_closes_its_request(account: Account, later: Later) -> None:
    """By the user's own hand.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html
    """
    one = launch(account, later)
    account.becomes(one["InstanceId"], "running")
    account.terminate(one["InstanceId"])
    request = account.until(
        lambda: request_of(account, one["SpotInstanceRequestId"]), lambda found: found["State"] == "closed"
    )
    assert request["Status"]["Code"] == "instance-terminated-by-user"


def test_cancelling_a_request_leaves_its_instance_running(account: Account, later: Later) -> None:
    """It is ended on its own.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CancelSpotInstanceRequests.html
    """
    one = launch(account, later)
    account.becomes(one["InstanceId"], "running")
    answer = account.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[one["SpotInstanceRequestId"]])
    assert answer["CancelledSpotInstanceRequests"][0]["State"] == "cancelled"
    request = account.until(
        lambda: request_of(account, one["SpotInstanceRequestId"]), lambda found: found["State"] == "cancelled"
    )
    assert request["Status"]["Code"] == "request-canceled-and-instance-running"
    assert account.state(one["InstanceId"]) == "running"


def test_a_one_time_spot_instance_cannot_be_stopped(account: Account, later: Later) -> None:
    """Only a persistent one can.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances-request.html
    """
    one = launch(account, later)
    account.becomes(one["InstanceId"], "running")
    with refused("UnsupportedOperation"):
        account.ec2.stop_instances(InstanceIds=[one["InstanceId"]])


def test_an_offer_below_the_price_launches_nothing(account: Account) -> None:
    """With the code of its own.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    options = SPOT | {"SpotOptions": {"MaxPrice": "0.0001"}}
    with refused("SpotMaxPriceTooLow"):
        account.run(InstanceMarketOptions=options)


def test_price_history_has_prices_of_each_zone_up_to_now(account: Account) -> None:
    """The first of each zone is in force now.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
    """
    now = datetime.now(UTC)
    found = account.ec2.describe_spot_price_history(
        InstanceTypes=["m5.large"], ProductDescriptions=["Linux/UNIX"], StartTime=now - timedelta(days=3), EndTime=now
    )["SpotPriceHistory"]
    assert {price["InstanceType"] for price in found} == {"m5.large"}
    assert len({price["AvailabilityZone"] for price in found}) >= 2
    assert all(0 < float(price["SpotPrice"]) < 1 for price in found)
    assert len({price["SpotPrice"] for price in found}) > 1, "it moves"
    times = [price["Timestamp"] for price in found]
    assert times == sorted(times, reverse=True)
    assert max(times) <= now + timedelta(minutes=5)


def test_placement_scores_are_from_one_to_ten(account: Account) -> None:
    """By region, or by zone when asked for.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetSpotPlacementScores.html
    """
    scores = account.ec2.get_spot_placement_scores(
        InstanceTypes=["m5.large", "m5a.large", "m4.large"],
        TargetCapacity=10,
        RegionNames=[account.region],
        SingleAvailabilityZone=True,
    )["SpotPlacementScores"]
    assert scores
    assert all(1 <= one["Score"] <= 10 and one["Region"] == account.region for one in scores)
    assert all(one["AvailabilityZoneId"] for one in scores)


def test_a_spot_request_that_does_not_exist_is_named_by_its_own_code(account: Account) -> None:
    """As every kind of thing is.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidSpotInstanceRequestID.NotFound"):
        account.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=["sir-0badbad0"])
