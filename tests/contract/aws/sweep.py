"""Removes everything that carries the run's tag or prefix: what finalizers left when a run was cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from tests.contract.aws.account import PATH, Account, code_of

Found = Callable[[Account], list[str]]
Remove = Callable[[Account, str], None]


def leftovers(account: Account) -> dict[str, list[str]]:
    """Everything of this run that exists, by kind; empty when nothing is left."""
    found = {kind: find(account) for kind, find, _ in _KINDS}
    return {kind: names for kind, names in found.items() if names}


def sweep(account: Account, seconds: float = 300) -> dict[str, list[str]]:
    """Remove all of it, in the order of dependence, again until it is gone; what is left after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        for _, find, remove in _KINDS:
            for name in find(account):
                try:
                    remove(account, name)
                except ClientError as error:
                    # In use by what is still ending, or gone meanwhile: the next round tells.
                    last = f"{name}: {code_of(error)}"
                    if time.monotonic() > end:
                        raise AssertionError(last) from error
        left = leftovers(account)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1 if account.local else 5)


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key) or ()


def _tagged(operation: str, key: str, field: str) -> Found:
    def find(account: Account) -> list[str]:
        return [str(one[field]) for one in _pages(account.ec2, operation, key, Filters=account.mine())]

    return find


def _instances(account: Account) -> list[str]:
    return [
        str(instance["InstanceId"])
        for reservation in _pages(account.ec2, "describe_instances", "Reservations", Filters=account.mine())
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]


def _end(account: Account, name: str) -> None:
    account.ec2.modify_instance_attribute(InstanceId=name, DisableApiTermination={"Value": False})
    account.ec2.terminate_instances(InstanceIds=[name])


def _delete_group(account: Account, group: str) -> None:
    found = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    if found["IpPermissions"]:
        # Groups that name each other cannot be deleted.
        rules = account.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        ids = [rule["SecurityGroupRuleId"] for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]]
        account.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
    account.ec2.delete_security_group(GroupId=group)


def _images(account: Account) -> list[str]:
    found = account.ec2.describe_images(Owners=["self"], Filters=account.mine())["Images"]
    return [str(image["ImageId"]) for image in found]


def _buckets(account: Account) -> list[str]:
    names = [str(bucket["Name"]) for bucket in account.s3.list_buckets()["Buckets"]]
    return [name for name in names if name.startswith(account.prefix)]


def delete_bucket(account: Account, bucket: str) -> None:
    """A bucket with all that is in it."""
    s3 = account.s3
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        records = [*(page.get("Versions") or ()), *(page.get("DeleteMarkers") or ())]
        if records:
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in records]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads") or ():
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=bucket)


def _iam(operation: str, key: str, field: str, **more: Any) -> Found:
    def find(account: Account) -> list[str]:
        found = _pages(account.iam, operation, key, PathPrefix=PATH, **more)
        return [str(one[field]) for one in found if account.prefix in str(one[field])]

    return find


def _delete_profile(account: Account, name: str) -> None:
    for role in account.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        account.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role["RoleName"])
    account.iam.delete_instance_profile(InstanceProfileName=name)


def delete_role(account: Account, name: str) -> None:
    """A role with its policies."""
    iam = account.iam
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def delete_user(account: Account, name: str) -> None:
    """A user with its keys and policies."""
    iam = account.iam
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_user(UserName=name)


def delete_policy(account: Account, arn: str) -> None:
    """A managed policy with its versions."""
    for version in account.iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            account.iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    account.iam.delete_policy(PolicyArn=arn)


def _groups_for_placement(account: Account) -> list[str]:
    found = account.ec2.describe_placement_groups(Filters=account.mine())["PlacementGroups"]
    return [str(group["GroupName"]) for group in found if group["State"] != "deleted"]


def _rules(account: Account) -> list[str]:
    found = account.client("events").list_rules(NamePrefix=account.prefix)["Rules"]
    return [str(rule["Name"]) for rule in found]


def delete_rule(account: Account, name: str) -> None:
    """A rule of EventBridge with its targets."""
    events = account.client("events")
    ids = [target["Id"] for target in events.list_targets_by_rule(Rule=name)["Targets"]]
    if ids:
        events.remove_targets(Rule=name, Ids=ids)
    events.delete_rule(Name=name)


def _queues(account: Account) -> list[str]:
    return list(account.client("sqs").list_queues(QueueNamePrefix=account.prefix).get("QueueUrls") or ())


_KINDS: tuple[tuple[str, Found, Remove], ...] = (
    ("instances", _instances, _end),
    (
        "images",
        _images,
        lambda account, name: account.ec2.deregister_image(ImageId=name, DeleteAssociatedSnapshots=True),
    ),
    (
        "snapshots",
        _tagged("describe_snapshots", "Snapshots", "SnapshotId"),
        lambda account, name: account.ec2.delete_snapshot(SnapshotId=name),
    ),
    (
        "volumes",
        _tagged("describe_volumes", "Volumes", "VolumeId"),
        lambda account, name: account.ec2.delete_volume(VolumeId=name),
    ),
    (
        "launch templates",
        _tagged("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
        lambda account, name: account.ec2.delete_launch_template(LaunchTemplateId=name),
    ),
    (
        "interfaces",
        _tagged("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        lambda account, name: account.ec2.delete_network_interface(NetworkInterfaceId=name),
    ),
    ("security groups", _tagged("describe_security_groups", "SecurityGroups", "GroupId"), _delete_group),
    (
        "subnets",
        _tagged("describe_subnets", "Subnets", "SubnetId"),
        lambda account, name: account.ec2.delete_subnet(SubnetId=name),
    ),
    (
        "placement groups",
        _groups_for_placement,
        lambda account, name: account.ec2.delete_placement_group(GroupName=name),
    ),
    ("buckets", _buckets, delete_bucket),
    ("rules", _rules, delete_rule),
    ("queues", _queues, lambda account, name: account.client("sqs").delete_queue(QueueUrl=name)),
    (
        "instance profiles",
        _iam("list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
        _delete_profile,
    ),
    ("roles", _iam("list_roles", "Roles", "RoleName"), delete_role),
    ("users", _iam("list_users", "Users", "UserName"), delete_user),
    ("policies", _iam("list_policies", "Policies", "Arn", Scope="Local"), delete_policy),
)
