"""What there is to have: types, zones, placement, prices, quotas, parameters; and the shape of errors."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.contract.aws.account import Account, refused
from tests.contract.aws.conftest import Later


def test_a_type_tells_its_size_and_kind(account: Account) -> None:
    """In vCPUs and MiB.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html
    """
    found = account.ec2.describe_instance_types(InstanceTypes=["m5.large", "m5.xlarge"])["InstanceTypes"]
    types = {one["InstanceType"]: one for one in found}
    assert types["m5.large"]["VCpuInfo"]["DefaultVCpus"] == 2
    assert 0 < types["m5.large"]["MemoryInfo"]["SizeInMiB"] <= types["m5.xlarge"]["MemoryInfo"]["SizeInMiB"]
    assert types["m5.large"]["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    assert set(types["m5.large"]["SupportedUsageClasses"]) == {"on-demand", "spot"}


def test_an_unknown_type_is_invalid_and_so_are_all_asked_for_with_it(account: Account) -> None:
    """The call fails whole.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidInstanceType"):
        account.ec2.describe_instance_types(InstanceTypes=["m5.large", "m5.nosuch"])


def test_types_are_offered_by_zone(account: Account) -> None:
    """Not every type in every zone.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
    """
    found = account.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m5.large"]}]
    )["InstanceTypeOfferings"]
    zones = {one["Location"] for one in found}
    assert len(zones) >= 2
    assert all(zone.startswith(account.region) for zone in zones)
    assert {one["InstanceType"] for one in found} == {"m5.large"}


def test_types_are_found_by_requirements(account: Account) -> None:
    """Instead of a list by hand.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetInstanceTypesFromInstanceRequirements.html
    """
    pages = account.ec2.get_paginator("get_instance_types_from_instance_requirements").paginate(
        ArchitectureTypes=["x86_64"],
        VirtualizationTypes=["hvm"],
        InstanceRequirements={
            "VCpuCount": {"Min": 2, "Max": 4},
            "MemoryMiB": {"Min": 1024},
            "AllowedInstanceTypes": ["m5.*"],
        },
    )
    found = {one["InstanceType"] for page in pages for one in page["InstanceTypes"]}
    assert {"m5.large", "m5.xlarge"} <= found
    assert not any(not one.startswith("m5.") for one in found)
    assert "m5.4xlarge" not in found


def test_zones_have_names_and_ids(account: Account) -> None:
    """The names differ between accounts, the ids do not.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html
    """
    zones = account.ec2.describe_availability_zones()["AvailabilityZones"]
    assert {zone["State"] for zone in zones} == {"available"}
    assert {zone["RegionName"] for zone in zones} == {account.region}
    assert len({zone["ZoneId"] for zone in zones}) == len(zones) >= 2


def test_the_default_network_has_a_default_subnet_in_each_of_its_zones(account: Account) -> None:
    """Where nodes go when nobody says otherwise.

    docs.aws.amazon.com/vpc/latest/userguide/default-vpc.html
    """
    (vpc,) = account.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert vpc["State"] == "available"
    subnets = account.subnets()
    assert {subnet["VpcId"] for subnet in subnets} == {vpc["VpcId"]}
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == len(subnets) >= 2
    with refused("InvalidVpcID.NotFound"):
        account.ec2.describe_vpcs(VpcIds=["vpc-0badbadbadbadbad0"])


def test_a_placement_group_is_made_used_and_deleted_when_it_is_empty(account: Account, later: Later) -> None:
    """Its name is taken once.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-groups.html
    """
    name = account.name("cluster")
    made = account.ec2.create_placement_group(
        GroupName=name, Strategy="spread", TagSpecifications=account.tagged("placement-group")
    )["PlacementGroup"]
    later(account.ec2.delete_placement_group, GroupName=name)
    assert (made["Strategy"], made["GroupName"]) == ("spread", name)
    with refused("InvalidPlacementGroup.Duplicate"):
        account.ec2.create_placement_group(GroupName=name, Strategy="spread")
    one = account.run(Placement={"GroupName": name})["Instances"][0]
    assert one["Placement"]["GroupName"] == name
    with refused("InvalidPlacementGroup.InUse"):
        account.ec2.delete_placement_group(GroupName=name)
    account.terminate(one["InstanceId"])
    account.ec2.delete_placement_group(GroupName=name)
    with refused("InvalidPlacementGroup.Unknown"):
        account.ec2.describe_placement_groups(GroupNames=[name])


def test_the_price_list_has_the_on_demand_price_of_a_type(account: Account) -> None:
    """As JSON in JSON, in US dollars an hour; the service is in us-east-1 only, here.

    docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
    """
    fields = {
        "instanceType": "m5.large",
        "regionCode": "us-east-1",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in fields.items()]
    found = account.client("pricing", region="us-east-1").get_products(ServiceCode="AmazonEC2", Filters=filters)
    (product,) = [json.loads(text) for text in found["PriceList"]]
    assert product["product"]["attributes"]["instanceType"] == "m5.large"
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert dimension["unit"] == "Hrs"
    assert 0.05 < float(dimension["pricePerUnit"]["USD"]) < 0.2
    assert term["effectiveDate"]


def test_quotas_tell_how_many_vcpus_may_run(account: Account) -> None:
    """L-1216C47A is on-demand, L-34B43A08 spot, of the standard families.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html
    """
    quotas = account.client("service-quotas")
    for code in ("L-1216C47A", "L-34B43A08"):
        quota = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]
        assert quota["QuotaCode"] == code
        assert quota["Value"] >= 0
    with refused("NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")
    listed = [
        one["QuotaCode"]
        for page in quotas.get_paginator("list_service_quotas").paginate(ServiceCode="ec2")
        for one in page["Quotas"]
    ]
    assert {"L-1216C47A", "L-34B43A08"} <= set(listed)


def test_a_public_parameter_names_the_newest_image(account: Account) -> None:
    """Without a search; Debian publishes its own.

    docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-finding-public-parameters.html
    """
    ssm = account.client("ssm")
    name = "/aws/service/debian/release/12/latest/amd64"
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == account.image
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/aws/service/no/such/parameter")


# The shape of errors


def ask(account: Account, service: str, *, sign: bool = True, **parameters: str) -> tuple[int, str, str]:
    """A raw request of the query protocol: status, content type, body."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    url = account.client(service).meta.endpoint_url
    request = AWSRequest("POST", url + "/", data=urlencode(parameters))
    request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    if sign:
        SigV4Auth(account.session.get_credentials(), service, account.region).add_auth(request)
    raw = Request(url + "/", data=request.body, headers=dict(request.headers.items()))  # noqa: S310 - our own URL
    try:
        with urlopen(raw, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_an_operation_that_does_not_exist_is_an_error_in_xml(account: Account) -> None:
    """InvalidAction, and never a page of HTML.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    status, kind, body = ask(account, "ec2", Action="NoSuchOperation", Version="2016-11-15")
    assert (status, "<Code>InvalidAction</Code>" in body) == (400, True)
    assert "NoSuchOperation" in body
    assert "xml" in kind
    assert "<RequestID>" in body


def test_a_request_without_credentials_is_told_so(account: Account) -> None:
    """MissingAuthenticationToken, or as EC2 says it.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    status, _, body = ask(account, "ec2", sign=False, Action="DescribeRegions", Version="2016-11-15")
    assert status in (400, 401, 403)
    assert any(
        f"<Code>{code}</Code>" in body for code in ("MissingAuthenticationToken", "AuthFailure", "MissingParameter")
    )


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("ec2", "describe_capacity_reservations", {}),
        ("ec2", "describe_fast_snapshot_restores", {}),
        (
            "ec2",
            "create_capacity_reservation",
            {
                "InstanceType": "m5.large",
                "InstancePlatform": "Linux/UNIX",
                "InstanceCount": 1,
                "AvailabilityZone": "us-east-1a",
            },
        ),
        ("ec2", "describe_verified_access_groups", {}),
        ("iam", "generate_service_last_accessed_details", {"Arn": "arn:aws:iam::123456789012:role/x"}),
        ("sts", "decode_authorization_message", {"EncodedMessage": "x"}),
        (
            "ce",
            "get_cost_and_usage",
            {
                "TimePeriod": {"Start": "2026-01-01", "End": "2026-02-01"},
                "Granularity": "MONTHLY",
                "Metrics": ["x"],
            },
        ),
        ("lambda", "list_functions", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_local_cloud_does_not_have_is_an_error_that_names_it(
    account: Account, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    """An SDK reads it, as it reads any error of AWS: it is never a page of HTML, nor an answer that is made up.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    client = account.client(service)
    try:
        getattr(client, operation)(**arguments)
    except client.exceptions.ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        assert code, "an error has a code"
        assert code != "InternalError", message
        assert not code.isdigit(), "a bare status is what SDKs make of HTML"
    else:
        assert not account.local, "the answer is made up"
