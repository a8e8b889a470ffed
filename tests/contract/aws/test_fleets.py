"""Launch templates and instant fleets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aws.account import Account, refused
from tests.contract.aws.conftest import Later


def make_template(account: Account, later: Later, **data: Any) -> str:
    """A launch template with the base image; its id."""
    contents = {
        "ImageId": account.image,
        "InstanceType": account.type,
        "TagSpecifications": account.tagged("instance", "volume"),
    } | data
    made = account.ec2.create_launch_template(
        LaunchTemplateName=account.name("template"),
        LaunchTemplateData=contents,
        TagSpecifications=account.tagged("launch-template"),
    )["LaunchTemplate"]
    later(account.ec2.delete_launch_template, LaunchTemplateId=made["LaunchTemplateId"])
    return str(made["LaunchTemplateId"])


def launch(
    account: Account, later: Later, template: str, *overrides: dict[str, Any], target: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """CreateFleet of type instant."""
    account.count(int(target["TotalTargetCapacity"]))
    config: dict[str, Any] = {"LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Default"}}
    if overrides:
        config["Overrides"] = list(overrides)
    answer = account.ec2.create_fleet(
        Type="instant",
        LaunchTemplateConfigs=[config],
        TargetCapacitySpecification={"DefaultTargetCapacityType": "on-demand"} | target,
        TagSpecifications=account.tagged("instance"),
        **more,
    )
    if ids := ids_of(answer):
        later(account.ec2.terminate_instances, InstanceIds=ids)
    return dict(answer)


def ids_of(answer: dict[str, Any]) -> list[str]:
    """Everything that a fleet launched."""
    return [one for group in answer["Instances"] for one in group["InstanceIds"]]


# Launch templates


def test_a_template_begins_with_version_one_as_default_and_latest(account: Account, later: Later) -> None:
    """And is found by name, id and tag.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
    """
    template = make_template(account, later)
    (found,) = account.ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
    assert (found["DefaultVersionNumber"], found["LatestVersionNumber"]) == (1, 1)
    named = account.ec2.describe_launch_templates(LaunchTemplateNames=[found["LaunchTemplateName"]])
    assert named["LaunchTemplates"][0]["LaunchTemplateId"] == template
    listed = account.ec2.describe_launch_templates(Filters=account.mine())["LaunchTemplates"]
    assert template in [one["LaunchTemplateId"] for one in listed]


def test_the_name_of_a_template_is_taken_once(account: Account, later: Later) -> None:
    """Whoever comes second adopts it.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    template = make_template(account, later)
    name = account.ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0][
        "LaunchTemplateName"
    ]
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        account.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": account.image})


def test_a_template_that_does_not_exist_is_named_by_its_own_code(account: Account, later: Later) -> None:
    """By name, by id, and by version.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        account.ec2.describe_launch_templates(LaunchTemplateNames=["no-such-template"])
    with refused("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"):
        account.ec2.describe_launch_templates(LaunchTemplateIds=["lt-0badbadbadbadbad0"])
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        account.run(LaunchTemplate={"LaunchTemplateId": make_template(account, later), "Version": "7"})


def test_versions_count_up_and_the_default_moves_only_when_told(account: Account, later: Later) -> None:
    """$Latest and $Default are words for numbers.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
    """
    template = make_template(account, later)
    made = account.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "t3.nano"}, VersionDescription="second"
    )["LaunchTemplateVersion"]
    assert (made["VersionNumber"], made["DefaultVersion"]) == (2, False)

    def version(word: str) -> dict[str, Any]:
        found = account.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=[word])
        return dict(found["LaunchTemplateVersions"][0])

    assert (version("$Latest")["VersionNumber"], version("$Default")["VersionNumber"]) == (2, 1)
    assert version("$Latest")["VersionDescription"] == "second"
    assert "ImageId" not in version("2")["LaunchTemplateData"], "without a source version nothing is inherited"
    account.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    account.until(lambda: version("$Default")["VersionNumber"] == 2)


def test_a_version_made_of_another_inherits_what_it_does_not_name(account: Account, later: Later) -> None:
    """SourceVersion.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
    """
    template = make_template(account, later)
    account.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.nano"}
    )
    found = account.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Latest"])
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert (data["ImageId"], data["InstanceType"]) == (account.image, "t3.nano")


def test_a_launch_from_a_template_follows_it_where_the_call_says_nothing(account: Account, later: Later) -> None:
    """The call's own parameters win.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-instances-from-launch-template.html
    """
    template = make_template(account, later, MetadataOptions={"HttpTokens": "required"})
    launched = account.run(LaunchTemplate={"LaunchTemplateId": template}, InstanceType="t3.nano")["Instances"][0]
    later(account.ec2.terminate_instances, InstanceIds=[launched["InstanceId"]])
    assert (launched["ImageId"], launched["InstanceType"]) == (account.image, "t3.nano")
    assert launched["MetadataOptions"]["HttpTokens"] == "required"
    tags = {tag["Key"]: tag["Value"] for tag in account.instance(launched["InstanceId"])["Tags"]}
    assert tags["aws:ec2launchtemplate:id"] == template
    assert tags["aws:ec2launchtemplate:version"] == "1"


def test_a_deleted_template_is_gone_at_once(account: Account, later: Later) -> None:
    """Also for a second deletion.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplate.html
    """
    template = make_template(account, later)
    account.ec2.delete_launch_template(LaunchTemplateId=template)
    with refused("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"):
        account.ec2.delete_launch_template(LaunchTemplateId=template)


# Fleets


def test_an_instant_fleet_tells_what_it_launched_and_from_what(account: Account, later: Later, subnet: str) -> None:
    """One answer, no waiting: ids by template and override.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html
    """
    template = make_template(account, later)
    override = {"InstanceType": "t3.nano", "SubnetId": subnet}
    answer = launch(account, later, template, override, target={"TotalTargetCapacity": 2})
    assert answer["Errors"] == []
    (group,) = answer["Instances"]
    assert (group["InstanceType"], group["Lifecycle"], len(group["InstanceIds"])) == ("t3.nano", "on-demand", 2)
    assert override.items() <= group["LaunchTemplateAndOverrides"]["Overrides"].items()
    assert group["LaunchTemplateAndOverrides"]["LaunchTemplateSpecification"]["LaunchTemplateId"] == template
    for one in group["InstanceIds"]:
        shown = account.instance(one)
        assert (shown["InstanceType"], shown["SubnetId"]) == ("t3.nano", subnet)
        tags = {tag["Key"]: tag["Value"] for tag in shown["Tags"]}
        assert tags["aws:ec2:fleet-id"] == answer["FleetId"]


def test_the_same_token_gives_the_same_fleet(account: Account, later: Later) -> None:
    """And other parameters with it are refused.

    docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    """
    template, token = make_template(account, later), account.name("token")
    first = launch(account, later, template, target={"TotalTargetCapacity": 1}, ClientToken=token)
    again = launch(account, later, template, target={"TotalTargetCapacity": 1}, ClientToken=token)
    assert (again["FleetId"], ids_of(again)) == (first["FleetId"], ids_of(first))
    with refused("IdempotentParameterMismatch"):
        launch(account, later, template, target={"TotalTargetCapacity": 2}, ClientToken=token)


def test_weights_count_instead_of_instances(account: Account, later: Later) -> None:
    """Four units of a type that counts as two are two instances.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-instance-weighting.html
    """
    override = {"InstanceType": "t3.nano", "WeightedCapacity": 2.0}
    answer = launch(account, later, make_template(account, later), override, target={"TotalTargetCapacity": 4})
    assert len(ids_of(answer)) == 2


def test_a_fleet_shares_its_capacity_between_the_markets(account: Account, later: Later) -> None:
    """On-demand capacity is named, the rest is the default's.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TargetCapacitySpecificationRequest.html
    """
    target = {"TotalTargetCapacity": 3, "OnDemandTargetCapacity": 1, "DefaultTargetCapacityType": "spot"}
    answer = launch(account, later, make_template(account, later), target=target)
    count = {group["Lifecycle"]: len(group["InstanceIds"]) for group in answer["Instances"]}
    assert count == {"on-demand": 1, "spot": 2}


def test_on_demand_capacity_goes_to_the_lowest_price_by_default(account: Account, later: Later) -> None:
    """The order of the overrides does not matter then.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-allocation-strategy.html
    """
    overrides = [{"InstanceType": kind} for kind in ("t3.small", "t3.nano", "t3.micro")]
    answer = launch(account, later, make_template(account, later), *overrides, target={"TotalTargetCapacity": 1})
    assert [group["InstanceType"] for group in answer["Instances"]] == ["t3.nano"]


def test_with_the_prioritized_strategy_the_lowest_number_comes_first(account: Account, later: Later) -> None:
    """Priority is the override's own.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-allocation-strategy.html
    """
    overrides = [
        {"InstanceType": "t3.nano", "Priority": 5.0},
        {"InstanceType": "t3.micro", "Priority": 1.0},
    ]
    answer = launch(
        account,
        later,
        make_template(account, later),
        *overrides,
        target={"TotalTargetCapacity": 1},
        OnDemandOptions={"AllocationStrategy": "prioritized"},
    )
    assert [group["InstanceType"] for group in answer["Instances"]] == ["t3.micro"]


def test_what_a_fleet_cannot_launch_is_told_as_errors_of_its_answer(account: Account, later: Later) -> None:
    """The call itself succeeds, with no instances.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleetError.html
    """
    template = make_template(account, later, ImageId="ami-0badbadbadbadbad0")
    answer = launch(account, later, template, target={"TotalTargetCapacity": 1})
    assert ids_of(answer) == []
    assert [error["ErrorCode"] for error in answer["Errors"]] == ["InvalidAMIID.NotFound"]
    assert answer["Errors"][0]["Lifecycle"] == "on-demand"
    assert answer["Errors"][0]["LaunchTemplateAndOverrides"]["LaunchTemplateSpecification"]["Version"]


@pytest.mark.usefixtures("local")
def test_a_shortage_in_one_pool_is_filled_from_another(account: Account, later: Later, small_subnet: str) -> None:
    """What the first subnet has no addresses for, the second has.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-allocation-strategy.html
    """
    subnet = str(account.subnets()[1]["SubnetId"])  # two of one zone would be one pool
    overrides = [
        {"InstanceType": "t3.nano", "SubnetId": small_subnet, "Priority": 1.0},
        {"InstanceType": "t3.nano", "SubnetId": subnet, "Priority": 2.0},
    ]
    answer = launch(
        account,
        later,
        make_template(account, later),
        *overrides,
        target={"TotalTargetCapacity": 20},
        OnDemandOptions={"AllocationStrategy": "prioritized"},
    )
    assert len(ids_of(answer)) == 20
    subnets = {group["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"] for group in answer["Instances"]}
    assert subnet in subnets
    account.terminate(*ids_of(answer))


def test_an_instant_fleet_is_described_by_its_id_alone(account: Account, later: Later) -> None:
    """It does not appear in a listing, and its instances are described as instances.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFleets.html
    """
    answer = launch(account, later, make_template(account, later), target={"TotalTargetCapacity": 1})
    (shown,) = account.ec2.describe_fleets(FleetIds=[answer["FleetId"]])["Fleets"]
    assert (shown["Type"], shown["FleetId"]) == ("instant", answer["FleetId"])
    assert [one for group in shown["Instances"] for one in group["InstanceIds"]] == ids_of(answer)
    listed = [fleet["FleetId"] for fleet in account.ec2.describe_fleets()["Fleets"]]
    assert answer["FleetId"] not in listed
    with refused("Unsupported", "UnsupportedOperation"):
        account.ec2.describe_fleet_instances(FleetId=answer["FleetId"])


def test_deleting_a_fleet_ends_its_instances(account: Account, later: Later) -> None:
    """An instant fleet cannot be deleted without them.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFleets.html
    """
    answer = launch(account, later, make_template(account, later), target={"TotalTargetCapacity": 1})
    (one,) = ids_of(answer)
    kept = account.ec2.delete_fleets(FleetIds=[answer["FleetId"]], TerminateInstances=False)
    assert [failed["FleetId"] for failed in kept["UnsuccessfulFleetDeletions"]] == [answer["FleetId"]]
    done = account.ec2.delete_fleets(FleetIds=[answer["FleetId"]], TerminateInstances=True)
    assert [deleted["FleetId"] for deleted in done["SuccessfulFleetDeletions"]] == [answer["FleetId"]]
    account.becomes(one, "terminated")
    missing = "fleet-0bad0bad-0bad-0bad-0bad-0bad0bad0bad"
    failed = account.ec2.delete_fleets(FleetIds=[missing], TerminateInstances=True)["UnsuccessfulFleetDeletions"]
    assert failed[0]["Error"]["Code"] == "fleetIdDoesNotExist"


def test_the_interface_of_a_template_is_its_instances_own(account: Account, later: Later, subnet: str) -> None:
    """So that an address is known before anything is launched.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateInstanceNetworkInterfaceSpecificationRequest.html
    """
    interface = account.ec2.create_network_interface(
        SubnetId=subnet, TagSpecifications=account.tagged("network-interface")
    )["NetworkInterface"]
    later(account.ec2.delete_network_interface, NetworkInterfaceId=interface["NetworkInterfaceId"])
    nics = [{"DeviceIndex": 0, "NetworkInterfaceId": interface["NetworkInterfaceId"]}]
    template = make_template(account, later, NetworkInterfaces=nics)
    answer = launch(account, later, template, target={"TotalTargetCapacity": 1})
    (one,) = ids_of(answer)
    assert account.instance(one)["PrivateIpAddress"] == interface["PrivateIpAddress"]
    account.terminate(one)


def test_a_fleet_from_a_template_that_does_not_exist_is_refused(account: Account, later: Later) -> None:
    """That one is an error of the call.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"):
        launch(account, later, "lt-0badbadbadbadbad0", target={"TotalTargetCapacity": 1})
