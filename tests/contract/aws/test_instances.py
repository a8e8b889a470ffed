"""Launching and ending instances."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.contract.aws.account import TAG, Account, refused, status_of
from tests.contract.aws.conftest import Later

NOBODYS = "i-0badbadbadbadbad0"


def test_a_launch_answers_with_pending_instances_and_their_addresses(account: Account, subnet: str) -> None:
    """What is known at once: state, place, address, name in the network, time.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    launched = account.run(2, SubnetId=subnet)
    assert launched["ReservationId"].startswith("r-")
    assert launched["OwnerId"] == account.id
    first, second = launched["Instances"]
    assert first["State"] == {"Code": 0, "Name": "pending"}
    assert first["SubnetId"] == second["SubnetId"] == subnet
    assert first["PrivateIpAddress"] != second["PrivateIpAddress"]
    assert first["PrivateDnsName"].startswith("ip-" + first["PrivateIpAddress"].replace(".", "-"))
    assert sorted(one["AmiLaunchIndex"] for one in (first, second)) == [0, 1]
    assert first["LaunchTime"].tzinfo is not None
    assert "InstanceLifecycle" not in first
    account.ec2.terminate_instances(InstanceIds=[first["InstanceId"], second["InstanceId"]])


def test_tags_of_the_launch_call_are_on_instance_volumes_and_interfaces(account: Account) -> None:
    """Nothing is ever without its tags, so nothing can be lost from sight.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TagSpecification.html
    """
    kinds = ("instance", "volume", "network-interface")
    launched = account.run(TagSpecifications=account.tagged(*kinds, role="tagged"))["Instances"][0]
    assert {"Key": "role", "Value": "tagged"} in launched["Tags"]
    running = account.becomes(launched["InstanceId"], "running")
    volume = running["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    interface = running["NetworkInterfaces"][0]["NetworkInterfaceId"]
    volumes = account.ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    interfaces = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    assert {"Key": "role", "Value": "tagged"} in volumes[0]["Tags"]
    assert {"Key": "role", "Value": "tagged"} in interfaces[0]["TagSet"]
    account.ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])


def test_the_same_client_token_gives_the_same_instances_and_launches_nothing(account: Account) -> None:
    """A launch whose answer was lost can be repeated.

    docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    """
    token = account.name("token")
    first = account.run(ClientToken=token)
    again = account.run(ClientToken=token)
    assert again["ReservationId"] == first["ReservationId"]
    assert [one["InstanceId"] for one in again["Instances"]] == [one["InstanceId"] for one in first["Instances"]]
    found = account.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [token]}])["Reservations"]
    assert [len(reservation["Instances"]) for reservation in found] == [1]
    with refused("IdempotentParameterMismatch"):
        account.run(ClientToken=token, InstanceType="t3.nano")
    account.ec2.terminate_instances(InstanceIds=[first["Instances"][0]["InstanceId"]])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ImageId": "ami-0badbadbadbadbad0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "t3.nosuch"}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-0badbadbadbadbad0"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0badbadbadbadbad0"]}, "InvalidGroup.NotFound"),
        ({"KeyName": "no-such-key-pair"}, "InvalidKeyPair.NotFound"),
        ({"IamInstanceProfile": {"Name": "no-such-profile-at-all"}}, "InvalidParameterValue"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue"),
    ],
    ids=["image", "image id", "type", "subnet", "group", "key pair", "profile", "user data"],
)
def test_what_does_not_exist_is_named_by_its_own_code(account: Account, change: dict[str, Any], code: str) -> None:
    """And nothing is launched.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused(code):
        account.run(**change)


def test_interfaces_and_an_instance_level_subnet_exclude_each_other(account: Account, subnet: str) -> None:
    """The interface brings the subnet.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    with refused("InvalidParameterCombination"):
        account.run(SubnetId=subnet, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet}])


def test_a_dry_run_says_that_the_call_would_be_allowed_and_launches_nothing(account: Account) -> None:
    """It comes as an error, with status 412.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
    """
    token = account.name("token")
    with refused("DryRunOperation") as caught:
        account.run(DryRun=True, ClientToken=token)
    assert status_of(caught.value) == 412
    assert account.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [token]}])["Reservations"] == []


def test_a_launch_that_the_subnet_has_no_addresses_for_launches_nothing(account: Account, small_subnet: str) -> None:
    """Of 16 addresses five are AWS's own; a launch below its minimum fails whole.

    docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
    """
    with refused("InsufficientFreeAddressesInSubnet"):
        account.run(12, SubnetId=small_subnet)
    filters = [
        {"Name": "subnet-id", "Values": [small_subnet]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    assert account.ec2.describe_instances(Filters=filters)["Reservations"] == []


@pytest.mark.usefixtures("local")
def test_a_launch_above_the_accounts_vcpus_is_refused(account: Account) -> None:
    """A real account might have the quota, and the bill.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html
    """
    with refused("VcpuLimitExceeded"):
        account.run(1000, InstanceType="m5.24xlarge")


def test_terminating_tells_both_states_and_can_be_repeated(account: Account) -> None:
    """An instance that ended is no error.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
    """
    one = account.run()["Instances"][0]["InstanceId"]
    account.becomes(one, "running")
    change = account.ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"][0]
    assert change["PreviousState"] == {"Code": 16, "Name": "running"}
    assert change["CurrentState"]["Name"] in ("shutting-down", "terminated")
    ended = account.becomes(one, "terminated")
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert ended["StateTransitionReason"].startswith("User initiated")
    assert "PrivateIpAddress" not in ended
    again = account.ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"][0]
    assert again["CurrentState"] == {"Code": 48, "Name": "terminated"}


def test_one_unknown_id_ends_none_of_the_instances(account: Account, running: str) -> None:
    """All or nothing.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
    """
    with refused("InvalidInstanceID.NotFound"):
        account.ec2.terminate_instances(InstanceIds=[running, NOBODYS])
    with refused("InvalidInstanceID.Malformed"):
        account.ec2.terminate_instances(InstanceIds=[running, "i-xyz"])
    assert account.state(running) == "running"


def test_an_instance_under_protection_is_not_terminated(account: Account) -> None:
    """Until the attribute is taken back.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html
    """
    one = account.run(DisableApiTermination=True)["Instances"][0]["InstanceId"]
    account.becomes(one, "running")
    with refused("OperationNotPermitted"):
        account.ec2.terminate_instances(InstanceIds=[one])
    account.ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": False})
    account.terminate(one)


def test_a_stopped_instance_keeps_its_address_and_starts_again(account: Account) -> None:
    """And its type can be changed only meanwhile.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Stop_Start.html
    """
    one = account.run()["Instances"][0]["InstanceId"]
    before = account.becomes(one, "running")
    with refused("IncorrectInstanceState"):
        account.ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "t3.nano"})
    change = account.ec2.stop_instances(InstanceIds=[one])["StoppingInstances"][0]
    assert change["CurrentState"]["Name"] == "stopping"
    stopped = account.becomes(one, "stopped")
    assert stopped["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    account.ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "t3.nano"})
    account.ec2.start_instances(InstanceIds=[one])
    again = account.becomes(one, "running")
    assert (again["InstanceType"], again["PrivateIpAddress"]) == ("t3.nano", before["PrivateIpAddress"])
    assert not again.get("StateReason")
    account.ec2.terminate_instances(InstanceIds=[one])


def test_a_reboot_leaves_the_instance_running(account: Account, running: str) -> None:
    """It never goes through another state.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RebootInstances.html
    """
    launched = account.instance(running)["LaunchTime"]
    account.ec2.reboot_instances(InstanceIds=[running])
    after = account.instance(running)
    assert (after["State"]["Name"], after["LaunchTime"]) == ("running", launched)


def test_a_terminated_instance_does_not_start_again(account: Account) -> None:
    """Its state is final.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
    """
    one = account.run()["Instances"][0]["InstanceId"]
    account.terminate(one)
    with refused("IncorrectInstanceState"):
        account.ec2.start_instances(InstanceIds=[one])


def test_user_data_is_given_back_in_base64(account: Account, later: Later) -> None:
    """The SDK encodes what is given to RunInstances.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceAttribute.html
    """
    one = account.run(UserData='{"cluster": "flights"}')["Instances"][0]["InstanceId"]
    later(account.ec2.terminate_instances, InstanceIds=[one])
    found = account.ec2.describe_instance_attribute(InstanceId=one, Attribute="userData")
    assert base64.b64decode(found["UserData"]["Value"]) == b'{"cluster": "flights"}'


def test_an_instance_stops_by_default_when_it_shuts_itself_down(account: Account, running: str) -> None:
    """The other behaviour is asked for in the launch.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceAttribute.html
    """
    attribute = "instanceInitiatedShutdownBehavior"
    found = account.ec2.describe_instance_attribute(InstanceId=running, Attribute=attribute)
    assert found["InstanceInitiatedShutdownBehavior"]["Value"] == "stop"
    one = account.run(InstanceInitiatedShutdownBehavior="terminate")["Instances"][0]["InstanceId"]
    found = account.ec2.describe_instance_attribute(InstanceId=one, Attribute=attribute)
    assert found["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    account.ec2.terminate_instances(InstanceIds=[one])


def test_metadata_options_of_the_launch_are_told_and_changed_one_by_one(account: Account) -> None:
    """What a change does not name keeps its value.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html
    """
    wanted = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"}
    one = account.run(MetadataOptions=wanted)["Instances"][0]["InstanceId"]
    account.becomes(one, "running")
    assert wanted.items() <= account.instance(one)["MetadataOptions"].items()
    account.ec2.modify_instance_metadata_options(InstanceId=one, HttpPutResponseHopLimit=1)
    expected = wanted | {"HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"}
    account.until(lambda: expected.items() <= account.instance(one)["MetadataOptions"].items())
    account.ec2.terminate_instances(InstanceIds=[one])


def test_tag_keys_with_the_prefix_of_aws_are_refused(account: Account, running: str) -> None:
    """They are AWS's own.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
    """
    with refused("InvalidParameterValue"):
        account.ec2.create_tags(Resources=[running], Tags=[{"Key": "aws:mine", "Value": "x"}])
    with refused("InvalidInstanceID.NotFound"):
        account.ec2.create_tags(Resources=[NOBODYS], Tags=[{"Key": "a", "Value": "x"}])


def test_a_resource_has_fifty_tags_at_most(account: Account, group: str) -> None:
    """One too many adds none.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
    """
    with refused("TagLimitExceeded"):
        account.ec2.create_tags(Resources=[group], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    found = account.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [group]}])["Tags"]
    assert [tag["Key"] for tag in found] == [TAG]


def test_tags_are_replaced_by_key_and_deleted_by_key_or_by_value(account: Account, group: str) -> None:
    """A value that differs protects the tag.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html
    """

    def tags() -> dict[str, str]:
        found = account.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [group]}])["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found if tag["Key"] != TAG}

    account.ec2.create_tags(Resources=[group], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])
    account.ec2.create_tags(Resources=[group], Tags=[{"Key": "a", "Value": "2"}])
    account.until(tags, lambda found: found == {"a": "2", "b": "1"})
    account.ec2.delete_tags(Resources=[group], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    account.until(tags, lambda found: found == {"a": "2"})


def test_the_console_of_an_instance_is_text(account: Account, running: str) -> None:
    """The SDK decodes it.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html
    """
    found = account.ec2.get_console_output(InstanceId=running)
    assert found["InstanceId"] == running
    assert isinstance(found.get("Output", ""), str)
    with refused("InvalidInstanceID.NotFound"):
        account.ec2.get_console_output(InstanceId=NOBODYS)


def test_a_pushed_key_is_taken_for_a_running_instance_only(account: Account, running: str) -> None:
    """It opens the instance for a minute.

    docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/API_SendSSHPublicKey.html
    """
    connect = account.client("ec2-instance-connect")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqE0cR2aZ5GqOJVSsu0XmGlVLUmSLoqDTbLTdSIbQDM contract"
    answer = connect.send_ssh_public_key(InstanceId=running, InstanceOSUser="admin", SSHPublicKey=key)
    assert answer["Success"] is True
    with refused("EC2InstanceNotFoundException"):
        connect.send_ssh_public_key(InstanceId=NOBODYS, InstanceOSUser="admin", SSHPublicKey=key)
