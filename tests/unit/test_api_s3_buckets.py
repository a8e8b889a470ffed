"""Buckets: their names, and what is configured for them, as AWS words it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import Cloud, running_cloud

DAY = 86_400
ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = request.node.name.partition("[")[0].replace("_", "-")[:50].strip("-")
    s3.create_bucket(Bucket=name)
    return str(name)


def _code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    "name", ["ab", "Upper", "under_score", "two..dots", "192.168.5.4", "-dash", "dash-", "xn--x", "x-s3alias", "a" * 64]
)
def test_names_that_aws_refuses_are_refused(cloud: Cloud, s3: Any, name: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    s3.meta.events.unregister("before-parameter-build.s3")
    assert _code(s3.create_bucket, Bucket=name) == "InvalidBucketName"


def test_a_bucket_is_made_once_and_again_in_us_east_1(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_the_name_of_another_accounts_bucket_is_taken(cloud: Cloud, s3: Any) -> None:
    cloud.server.objects.reserve("theirs", "999999999999")
    assert _code(s3.create_bucket, Bucket="theirs") == "BucketAlreadyExists"
    assert _code(s3.head_bucket, Bucket="theirs") == "403"
    assert _code(s3.get_object, Bucket="theirs", Key="k") == "AccessDenied"
    assert "theirs" not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize(
    ("region", "code"),
    [("us-east-1", "InvalidLocationConstraint"), ("eu-west-1", "IllegalLocationConstraintException")],
)
def test_a_bucket_for_another_region_is_refused(s3: Any, region: str, code: str) -> None:
    assert _code(s3.create_bucket, Bucket="far", CreateBucketConfiguration={"LocationConstraint": region}) == code


def test_only_an_empty_bucket_is_deleted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    assert _code(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert _code(s3.delete_bucket, Bucket=bucket) == "NoSuchBucket"
    assert _code(s3.list_objects_v2, Bucket=bucket) == "NoSuchBucket"


def test_a_new_bucket_is_private_encrypted_and_without_acls(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html"""
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == ALL_BLOCKED
    ownership = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert ownership == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"
    assert _code(s3.put_object, Bucket=bucket, Key="k", ACL="public-read") == "AccessControlListNotSupported"
    assert _code(s3.put_bucket_acl, Bucket=bucket, ACL="private") == "AccessControlListNotSupported"
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_absent_configurations_are_errors_by_their_own_names(s3: Any, bucket: str) -> None:
    for call, code in (
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_policy_status, "NoSuchBucketPolicy"),
        (s3.get_bucket_tagging, "NoSuchTagSet"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
    ):
        assert _code(call, Bucket=bucket) == code
    s3.delete_public_access_block(Bucket=bucket)
    assert _code(s3.get_public_access_block, Bucket=bucket) == "NoSuchPublicAccessBlockConfiguration"
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    assert _code(s3.get_bucket_ownership_controls, Bucket=bucket) == "OwnershipControlsNotFoundError"


def test_the_default_encryption_is_what_objects_show(s3: Any, bucket: str) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/team"},
        "BucketKeyEnabled": True,
    }
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert (made["ServerSideEncryption"], made["SSEKMSKeyId"], made["BucketKeyEnabled"]) == (
        "aws:kms",
        "alias/team",
        True,
    )
    assert (
        s3.put_object(Bucket=bucket, Key="own", Body=b"", ServerSideEncryption="AES256")["ServerSideEncryption"]
        == "AES256"
    )
    s3.delete_bucket_encryption(Bucket=bucket)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"")["ServerSideEncryption"] == "AES256"


def _policy(bucket: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | more]})


def test_a_policy_is_kept_as_it_was_given_and_public_ones_are_blocked(cloud: Cloud, s3: Any, bucket: str) -> None:
    private = _policy(bucket, Principal={"AWS": "arn:aws:iam::123456789012:root"})
    s3.put_bucket_policy(Bucket=bucket, Policy=private)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == private
    assert cloud.server.objects.bucket_policy(bucket) == private
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert _code(s3.put_bucket_policy, Bucket=bucket, Policy=_policy(bucket)) == "AccessDenied"
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=ALL_BLOCKED | {"BlockPublicPolicy": False})
    s3.put_bucket_policy(Bucket=bucket, Policy=_policy(bucket))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    s3.delete_bucket_policy(Bucket=bucket)
    assert cloud.server.objects.bucket_policy(bucket) == ""


@pytest.mark.parametrize(
    "policy",
    [
        "no json",
        "[]",
        '{"Statement": []}',
        _policy("another"),
        _policy("bucket", Effect="Maybe"),
        _policy("bucket", Action="ec2:*"),
    ],
)
def test_policies_that_make_no_sense_are_malformed(s3: Any, bucket: str, policy: str) -> None:
    text = policy.replace(":::bucket/", f":::{bucket}/")
    assert _code(s3.put_bucket_policy, Bucket=bucket, Policy=text) == "MalformedPolicy"


def test_tags_of_buckets_and_objects(s3: Any, bucket: str) -> None:
    tags = [{"Key": "hcluster:team", "Value": "analytics"}, {"Key": "k", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=two+words")
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    found = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert found == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "two words"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    many = [{"Key": str(number), "Value": ""} for number in range(11)]
    assert _code(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": many}) == "BadRequest"
    own = [{"Key": "aws:x", "Value": ""}]
    assert _code(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": own}) == "InvalidTag"


def test_versions_markers_and_suspension(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"0")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    with pytest.raises(ClientError, match="NoSuchKey") as error:
        s3.get_object(Bucket=bucket, Key="k")
    assert error.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    assert _code(s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"]) == "MethodNotAllowed"
    found = s3.list_object_versions(Bucket=bucket)
    assert [(v["VersionId"], v["IsLatest"]) for v in found["Versions"]] == [(first, False), ("null", False)]
    assert [(v["VersionId"], v["IsLatest"]) for v in found["DeleteMarkers"]] == [(marker["VersionId"], True)]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    assert [v["VersionId"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]] == ["null", first]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"2"
    assert _code(s3.get_object, Bucket=bucket, Key="k", VersionId="x" * 32) == "NoSuchVersion"
    assert _code(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"


def test_versions_are_listed_in_pages_that_may_break_within_a_key(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = [s3.put_object(Bucket=bucket, Key=key, Body=b"")["VersionId"] for key in ("a", "a", "a", "b", "d/1", "d/2")]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    found = [v["VersionId"] for page in pages for v in page.get("Versions", [])]
    assert found == [made[2], made[1], made[0], made[3], made[4], made[5]]
    folders = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in folders["CommonPrefixes"]] == ["d/"]


def _rule(**more: Any) -> dict[str, Any]:
    return {"ID": "rule", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}} | more


def test_a_lifecycle_configuration_is_kept_checked_and_carried_out(
    cloud: Cloud, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html"""
    rules = [_rule(Expiration={"Days": 3}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    s3.put_object(Bucket=bucket, Key="tmp/old", Body=b"")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"")
    s3.create_multipart_upload(Bucket=bucket, Key="tmp/upload")
    store = cloud.server.objects._store
    monkeypatch.setattr(store, "now", lambda: time.time() + 2.5 * DAY)
    cloud.server.objects.expire()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    monkeypatch.setattr(store, "now", lambda: time.time() + 4.5 * DAY)
    cloud.server.objects.expire()
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert _code(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == "NoSuchLifecycleConfiguration"


def test_old_versions_and_lonely_markers_expire(
    cloud: Cloud, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="tmp/k", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="tmp/k")
    rule = _rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}, Expiration={"ExpiredObjectDeleteMarker": True})
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    monkeypatch.setattr(cloud.server.objects._store, "now", lambda: time.time() + 3 * DAY)
    cloud.server.objects.expire()
    found = s3.list_object_versions(Bucket=bucket)
    assert "Versions" not in found
    assert "DeleteMarkers" not in found


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (_rule(), "InvalidRequest"),
        (_rule(Expiration={"Days": 0}), "InvalidArgument"),
        (_rule(Expiration={"Date": datetime(2026, 1, 1, 5, tzinfo=UTC)}), "InvalidArgument"),
        (_rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}]), "NotImplemented"),
    ],
)
def test_lifecycle_rules_that_cannot_be_carried_out_are_refused(
    s3: Any, bucket: str, rule: dict[str, Any], code: str
) -> None:
    arguments = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": [rule]}}
    assert _code(s3.put_bucket_lifecycle_configuration, **arguments) == code


def test_what_is_not_supported_is_refused_by_name(s3: Any, bucket: str) -> None:
    website = {"IndexDocument": {"Suffix": "index.html"}}
    with pytest.raises(ClientError, match="PutBucketWebsite is not supported by the local cloud") as error:
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=website)
    assert error.value.response["Error"]["Code"] == "NotImplemented"
    queue = {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"]}]}
    call = s3.put_bucket_notification_configuration
    assert _code(call, Bucket=bucket, NotificationConfiguration=queue) == "NotImplemented"
    call(Bucket=bucket, NotificationConfiguration={})
    assert _code(s3.put_object, Bucket=bucket, Key="k", StorageClass="CHEAP") == "InvalidStorageClass"
