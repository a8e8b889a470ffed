"""What the adapter sends and how it reads answers that the embedded cloud never gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from hcluster.aws.compute import AwsCompute
from hcluster.aws.launch import fleet_arguments, template_data
from hcluster.aws.objects import S3ObjectStore
from hcluster.aws.session import AwsSession
from hcluster.errors import (
    CapacityError,
    CloudError,
    ConflictError,
    DeadlineError,
    DeniedError,
    NotFoundError,
    UsageError,
)
from hcluster.model.launch import Disk, FleetRequest, TemplateRequest
from hcluster.testing import ManualClock

FLEET = FleetRequest("lt-1", 2, ("m5.large", "m5.xlarge"), ("subnet-1", "subnet-2"), "spot", "token", {"a": "b"})
TEMPLATE = TemplateRequest("t", "ami-1", "profile", ("sg-1",), "{}", {"a": "b"})
VERSION = {"LaunchTemplateVersions": [{"VersionNumber": 1, "LaunchTemplateData": {}}]}


class Stubbed:
    """An adapter whose clients answer what a test says."""

    def __init__(self, session: AwsSession) -> None:
        self.session = session
        self.clock = ManualClock()
        self.compute = AwsCompute(self.session, self.clock)
        self.store = S3ObjectStore(self.session, "bucket", self.clock)
        self.stubs: list[Stubber] = []

    def service(self, name: str) -> Any:
        stub = Stubber(self.session.client(name))
        stub.activate()
        self.stubs.append(stub)
        return stub


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> AwsSession:
    """Shared, as making EC2's client takes longer than any test here."""
    folder = tmp_path_factory.mktemp("aws")
    (folder / "config").write_text("[profile p]\nendpoint_url = http://127.0.0.1:1\n")
    (folder / "credentials").write_text("[p]\naws_access_key_id = a\naws_secret_access_key = b\n")
    return AwsSession("p", folder, "us-east-1")


@pytest.fixture
def stubbed(session: AwsSession) -> Iterator[Stubbed]:
    made = Stubbed(session)
    yield made
    for stub in made.stubs:
        stub.deactivate()
        stub.assert_no_pending_responses()


def test_a_fleet_is_instant_and_offers_every_type_in_every_subnet() -> None:
    sent = fleet_arguments(FLEET, "token", FLEET.subnets)
    overrides = sent["LaunchTemplateConfigs"][0]["Overrides"]
    assert sent["Type"] == "instant"
    assert sent["ClientToken"] == "token"
    assert [(one["InstanceType"], one["SubnetId"], one["Priority"]) for one in overrides] == [
        ("m5.large", "subnet-1", 0.0),
        ("m5.large", "subnet-2", 0.0),
        ("m5.xlarge", "subnet-1", 1.0),
        ("m5.xlarge", "subnet-2", 1.0),
    ]
    assert sent["SpotOptions"]["AllocationStrategy"] == "capacity-optimized-prioritized"
    assert sent["TargetCapacitySpecification"] == {"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "spot"}
    assert sent["TagSpecifications"] == [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]


def test_an_on_demand_fleet_takes_types_in_their_order_and_no_spot_options() -> None:
    sent = fleet_arguments(FleetRequest("lt-1", 1, ("m5.large",), (), "on-demand", "token"), "token", ())
    assert sent["OnDemandOptions"] == {"AllocationStrategy": "prioritized"}
    assert "SpotOptions" not in sent
    assert "TagSpecifications" not in sent
    assert sent["LaunchTemplateConfigs"][0]["Overrides"] == [{"InstanceType": "m5.large", "Priority": 0.0}]


def test_a_template_with_an_interface_names_no_groups_and_tags_no_interface() -> None:
    data = template_data(TemplateRequest("t", "ami-1", "p", ("sg-1",), "{}", {"a": "b"}, interface="eni-1"))
    assert data["NetworkInterfaces"] == [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-1"}]
    assert [one["ResourceType"] for one in data["TagSpecifications"]] == ["instance", "volume"]


def test_more_disks_than_device_names_are_refused() -> None:
    assert (
        len(template_data(TemplateRequest("t", "i", "p", (), "", {}, disks=(Disk(1),) * 11))["BlockDeviceMappings"])
        == 11
    )
    with pytest.raises(UsageError):
        template_data(TemplateRequest("t", "i", "p", (), "", {}, disks=(Disk(1),) * 12))


def test_an_empty_fleet_is_refused_before_any_call(stubbed: Stubbed) -> None:
    with pytest.raises(UsageError):
        stubbed.compute.create_fleet(FleetRequest("lt-1", 0, ("m5.large",), (), "spot", "token"))


def fleet_error(code: str, message: str) -> dict[str, Any]:
    return {"FleetId": "f", "Instances": [], "Errors": [{"ErrorCode": code, "ErrorMessage": message}]}


def test_the_subnet_is_not_named_when_the_template_brings_its_interface(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    data = {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-1"}]}
    version = {"LaunchTemplateVersions": [{"VersionNumber": 1, "LaunchTemplateData": data}]}
    ec2.add_response("describe_launch_template_versions", version)
    ec2.add_response(
        "create_fleet",
        {"FleetId": "f", "Instances": [{"InstanceIds": ["i-1"]}]},
        fleet_arguments(FLEET, "token", ()),
    )
    assert stubbed.compute.create_fleet(FLEET).instances == ("i-1",)


def test_a_partial_fleet_gives_instances_and_each_error_once(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    shortage = {"ErrorCode": "InsufficientInstanceCapacity", "ErrorMessage": "none left"}
    ec2.add_response(
        "create_fleet",
        {
            "FleetId": "f",
            "Instances": [{"InstanceIds": ["i-1"]}, {"InstanceIds": ["i-2"]}],
            "Errors": [shortage, shortage],
        },
    )
    result = stubbed.compute.create_fleet(FLEET)
    assert result.instances == ("i-1", "i-2")
    assert result.errors == (("InsufficientInstanceCapacity", "none left"),)


def test_a_shortage_that_fails_the_whole_call_is_told_in_the_result(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    ec2.add_client_error("create_fleet", "MaxSpotInstanceCountExceeded", "quota")
    result = stubbed.compute.create_fleet(FLEET)
    assert (result.instances, result.errors) == ((), (("MaxSpotInstanceCountExceeded", "quota"),))


def test_a_denial_that_comes_as_an_error_of_the_fleet_is_raised(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    ec2.add_response("create_fleet", fleet_error("UnauthorizedOperation", "iam:PassRole"))
    with pytest.raises(DeniedError, match="iam:PassRole"):
        stubbed.compute.create_fleet(FLEET)


ARCHITECTURE = ("InvalidParameterValue", "The architecture 'arm64' of the specified instance type does not match")


@pytest.mark.parametrize("launched", [[], ["i-1"]])
def test_an_error_of_the_fleet_that_is_no_shortage_is_raised_with_ec2s_words(
    stubbed: Stubbed, launched: list[str]
) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    ec2.add_response("create_fleet", {**fleet_error(*ARCHITECTURE), "Instances": [{"InstanceIds": launched}]})
    with pytest.raises(CloudError, match="The architecture 'arm64'") as raised:
        stubbed.compute.create_fleet(FLEET)
    assert f"of which {len(launched)} came" in raised.value.message
    assert "this is no shortage" in raised.value.hint


def test_an_error_of_one_type_is_no_matter_when_another_gave_all_nodes(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    full = {**fleet_error(*ARCHITECTURE), "Instances": [{"InstanceIds": ["i-1", "i-2"]}]}
    ec2.add_response("create_fleet", full)
    assert stubbed.compute.create_fleet(FLEET).errors == (ARCHITECTURE,)


def test_an_error_beside_a_shortage_leaves_it_a_shortage(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    both = fleet_error("InsufficientInstanceCapacity", "none left")
    both["Errors"] += fleet_error(*ARCHITECTURE)["Errors"]
    ec2.add_response("create_fleet", both)
    assert stubbed.compute.create_fleet(FLEET).errors == (("InsufficientInstanceCapacity", "none left"), ARCHITECTURE)


def test_a_profile_that_ec2_does_not_know_yet_is_waited_for_with_tokens_in_order(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_launch_template_versions", VERSION)
    unknown = fleet_error(
        "InvalidParameterValue",
        "Value (p) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
    )
    for token in ("token", "token-1"):
        ec2.add_response("create_fleet", unknown, fleet_arguments(FLEET, token, FLEET.subnets))
    launched = {"FleetId": "f", "Instances": [{"InstanceIds": ["i-1", "i-2"]}]}
    ec2.add_response("create_fleet", launched, fleet_arguments(FLEET, "token-2", FLEET.subnets))
    began = stubbed.clock.now()
    assert stubbed.compute.create_fleet(FLEET).instances == ("i-1", "i-2")
    assert stubbed.clock.now() - began == 10


def test_one_unknown_id_does_not_save_the_others_from_termination(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_client_error("terminate_instances", "InvalidInstanceID.NotFound", "i-2 does not exist")
    ec2.add_response("describe_instances", {"Reservations": [{"Instances": [{"InstanceId": "i-1"}]}]})
    ec2.add_response("terminate_instances", {}, {"InstanceIds": ["i-1"]})
    stubbed.compute.terminate(["i-1", "i-2"])


def test_thousands_are_terminated_a_thousand_a_call(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ids = [f"i-{number}" for number in range(2500)]
    for start in (0, 1000, 2000):
        ec2.add_response("terminate_instances", {}, {"InstanceIds": ids[start : start + 1000]})
    stubbed.compute.terminate(ids)


def test_instances_are_read_from_all_pages_and_only_with_the_literal_tag(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")

    def page(name: str, value: str, token: str = "") -> dict[str, Any]:
        record = {
            "InstanceId": name,
            "State": {"Name": "terminated"},
            "InstanceType": "m5.large",
            "InstanceLifecycle": "spot",
            "LaunchTime": datetime(2027, 1, 1, tzinfo=UTC),
            "StateReason": {"Message": "Server.SpotInstanceTermination"},
            "Tags": [{"Key": "a", "Value": value}],
        }
        return {"Reservations": [{"Instances": [record]}], **({"NextToken": token} if token else {})}

    ec2.add_response("describe_instances", page("i-1", "x", "more"))
    ec2.add_response("describe_instances", page("i-2", "y"), {"Filters": ANY, "MaxResults": 1000, "NextToken": "more"})
    (found,) = stubbed.compute.instances({"a": "x"}, alive_only=False)
    assert (found.id, found.market, found.reason, found.private_ip) == (
        "i-1",
        "spot",
        "Server.SpotInstanceTermination",
        "",
    )


def test_a_console_without_the_latest_output_falls_back(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_client_error("get_console_output", "UnsupportedOperation", "not on Nitro")
    ec2.add_response("get_console_output", {}, {"InstanceId": "i-1"})
    assert stubbed.compute.console("i-1") == ""


def test_an_interface_that_never_detaches_ends_in_a_deadline(stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = {
        "NetworkInterfaceId": "eni-1",
        "Status": "in-use",
        "Attachment": {"InstanceId": "i-1", "Status": "detaching"},
        "TagSet": [{"Key": "a", "Value": "b"}],
    }
    ending = {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "shutting-down"}}]}]}

    class Paginator:
        def __init__(self, page: dict[str, Any]) -> None:
            self.page = page

        def paginate(self, **_: object) -> list[dict[str, Any]]:
            return [self.page]

    pages: dict[str, dict[str, Any]] = {
        "describe_network_interfaces": {"NetworkInterfaces": [stuck]},
        "describe_instances": ending,
    }
    client = stubbed.session.client("ec2")
    monkeypatch.setattr(client, "get_paginator", lambda operation: Paginator(pages[operation]))
    began = stubbed.clock.now()
    with pytest.raises(DeadlineError, match="eni-1"):
        stubbed.compute.delete_interfaces({"a": "b"})
    assert 60 <= stubbed.clock.now() - began < 70


def test_a_role_that_iam_never_shows_ends_in_a_deadline(stubbed: Stubbed) -> None:
    def missing() -> None:
        raise NotFoundError("no role")

    began = stubbed.clock.now()
    with pytest.raises(DeadlineError, match="instance profile p"):
        stubbed.compute._settle("instance profile p", missing)
    assert 30 <= stubbed.clock.now() - began < 40


def test_a_full_subnet_is_a_capacity_error(stubbed: Stubbed) -> None:
    ec2 = stubbed.service("ec2")
    ec2.add_response("describe_network_interfaces", {"NetworkInterfaces": []})
    ec2.add_client_error("create_network_interface", "InsufficientFreeAddressesInSubnet", "full")
    with pytest.raises(CapacityError):
        stubbed.compute.ensure_interface(subnet="s", groups=[], description="d", client_token="t", tags={"a": "b"})


def test_a_write_that_meets_another_under_way_is_tried_again(stubbed: Stubbed) -> None:
    s3 = stubbed.service("s3")
    s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    s3.add_response("put_object", {"ETag": '"e"'})
    assert stubbed.store.put("k", b"1", if_none_match=True) == '"e"'


def test_a_write_that_always_meets_another_is_a_conflict(stubbed: Stubbed) -> None:
    s3 = stubbed.service("s3")
    for _ in range(5):
        s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    with pytest.raises(ConflictError):
        stubbed.store.put("k", b"1", if_none_match=True)


def lost_race(s3: Any, retries: int) -> None:
    s3.add_client_error(
        "put_object", "PreconditionFailed", http_status_code=412, response_meta={"RetryAttempts": retries}
    )


def test_a_race_lost_to_our_own_first_try_is_won(stubbed: Stubbed) -> None:
    s3 = stubbed.service("s3")
    lost_race(s3, retries=1)
    s3.add_response("get_object", {"Body": _Body(b"mine"), "ETag": '"e"'})
    assert stubbed.store.put("k", b"mine", if_none_match=True) == '"e"'


def test_a_race_lost_to_somebody_else_is_a_conflict_even_after_a_retry(stubbed: Stubbed) -> None:
    s3 = stubbed.service("s3")
    lost_race(s3, retries=1)
    s3.add_response("get_object", {"Body": _Body(b"theirs"), "ETag": '"e"'})
    with pytest.raises(ConflictError):
        stubbed.store.put("k", b"mine", if_none_match=True)


def test_without_a_retry_the_same_bytes_are_still_a_lost_race(stubbed: Stubbed) -> None:
    s3 = stubbed.service("s3")
    lost_race(s3, retries=0)
    with pytest.raises(ConflictError):
        stubbed.store.put("k", b"mine", if_none_match=True)


def test_a_prefix_is_deleted_a_thousand_keys_a_call(stubbed: Stubbed) -> None:
    s3 = stubbed.service("s3")
    now = datetime(2027, 1, 1, tzinfo=UTC)
    keys = [f"p/{number}" for number in range(1200)]

    def page(some: list[str], token: str = "") -> dict[str, Any]:
        more = {"IsTruncated": True, "NextContinuationToken": token} if token else {"IsTruncated": False}
        return {"Contents": [{"Key": key, "LastModified": now} for key in some], **more}

    s3.add_response("list_objects_v2", page(keys[:1000], "next"))
    for start, some in ((0, keys[:1000]), (1, keys[1000:])):
        if start:
            s3.add_response("list_objects_v2", page(some))
        wanted = {"Objects": [{"Key": key} for key in some], "Quiet": True}
        s3.add_response("delete_objects", {}, {"Bucket": "bucket", "Delete": wanted})
    assert stubbed.store.delete_prefix("p/") == 1200


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content
