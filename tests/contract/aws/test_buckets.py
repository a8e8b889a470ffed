"""Buckets: names, settings, versions, policies."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.contract.aws.account import Account, refused, status_of
from tests.contract.aws.conftest import make_bucket
from tests.contract.aws.sweep import delete_bucket


@pytest.fixture
def fresh(account: Account) -> Iterator[str]:
    """A bucket of the test's own."""
    name = account.name("bucket")
    make_bucket(account, name)
    yield name
    delete_bucket(account, name)


def test_the_names_of_buckets_are_shared_by_all_accounts(account: Account, fresh: str) -> None:
    """One's own again is no harm, somebody else's is refused, nobody's is not found.

    docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    foreign = "somebody-elses-bucket" if account.local else "amazon"
    with refused("BucketAlreadyExists"):
        make_bucket(account, foreign)
    if account.region == "us-east-1":
        make_bucket(account, fresh)  # the one region where this succeeds
    with refused("NoSuchBucket"):
        account.s3.list_objects_v2(Bucket=account.name("nobodys"))
    with refused("404") as caught:
        account.s3.head_bucket(Bucket=account.name("nobodys"))
    assert status_of(caught.value) == 404


def test_a_name_that_no_bucket_can_have_is_refused(account: Account) -> None:
    """Lower case, digits, dots and hyphens; 3 to 63.

    docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    for name in ("Has-Capitals", "under_score", "ab", "a..b"):
        with refused("InvalidBucketName"):
            make_bucket(account, name)


def test_a_new_bucket_is_encrypted_and_closed_to_the_public(account: Account, fresh: str) -> None:
    """Since 2023 without being asked.

    docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    """
    rules = account.s3.get_bucket_encryption(Bucket=fresh)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    block = account.s3.get_public_access_block(Bucket=fresh)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    owner = account.s3.get_bucket_ownership_controls(Bucket=fresh)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_access_lists_are_off_in_a_new_bucket(account: Account, fresh: str) -> None:
    """Policies alone decide.

    docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
    """
    with refused("AccessControlListNotSupported"):
        account.s3.put_object(Bucket=fresh, Key="k", Body=b"", ACL="public-read")


def test_a_bucket_is_deleted_when_it_is_empty(account: Account) -> None:
    """And gone then.

    docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
    """
    name = account.name("full")
    make_bucket(account, name)
    account.s3.put_object(Bucket=name, Key="k", Body=b"")
    with refused("BucketNotEmpty"):
        account.s3.delete_bucket(Bucket=name)
    account.s3.delete_object(Bucket=name, Key="k")
    account.s3.delete_bucket(Bucket=name)
    with refused("NoSuchBucket"):
        account.s3.delete_bucket(Bucket=name)


def test_settings_that_were_never_made_have_codes_of_their_own(account: Account, fresh: str) -> None:
    """Tags, policy, lifecycle.

    docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    with refused("NoSuchTagSet"):
        account.s3.get_bucket_tagging(Bucket=fresh)
    with refused("NoSuchBucketPolicy"):
        account.s3.get_bucket_policy(Bucket=fresh)
    with refused("NoSuchLifecycleConfiguration"):
        account.s3.get_bucket_lifecycle_configuration(Bucket=fresh)


def test_tags_of_a_bucket_are_replaced_as_a_whole(account: Account, fresh: str) -> None:
    """Whoever adds one reads the others first.

    docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
    """
    for tags in ([{"Key": "a", "Value": "1"}], [{"Key": "b", "Value": "2"}]):
        account.s3.put_bucket_tagging(Bucket=fresh, Tagging={"TagSet": tags})
    found = account.until(
        lambda: account.s3.get_bucket_tagging(Bucket=fresh)["TagSet"], lambda found: found[0]["Key"] == "b"
    )
    assert found == [{"Key": "b", "Value": "2"}]


def test_a_policy_that_would_open_the_bucket_is_refused_while_it_is_closed(account: Account, fresh: str) -> None:
    """BlockPublicPolicy; and what is no policy is malformed.

    docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{fresh}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with refused("AccessDenied"):
        account.s3.put_bucket_policy(Bucket=fresh, Policy=policy)
    with refused("MalformedPolicy"):
        account.s3.put_bucket_policy(Bucket=fresh, Policy="{}")


def test_a_policy_of_the_bucket_denies_even_the_administrator(account: Account, fresh: str) -> None:
    """Until it is taken away.

    docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    """
    caller = account.client("sts").get_caller_identity()["Arn"]
    if "assumed-role" in caller:
        pytest.skip("the caller is a session; the statement would have to name its role")
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": caller},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{fresh}/closed/*",
    }
    account.s3.put_bucket_policy(Bucket=fresh, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def closed() -> bool:
        try:
            account.s3.put_object(Bucket=fresh, Key="closed/x", Body=b"")
        except account.s3.exceptions.ClientError as error:
            return bool(error.response["Error"]["Code"] == "AccessDenied")
        return False

    account.until(closed)
    account.s3.put_object(Bucket=fresh, Key="open/x", Body=b"")
    account.s3.delete_bucket_policy(Bucket=fresh)


def test_versions_are_kept_and_a_deletion_is_a_mark(account: Account, fresh: str) -> None:
    """The older ones are read by their id; deleting the mark brings the object back.

    docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
    """
    s3 = account.s3
    s3.put_bucket_versioning(Bucket=fresh, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=fresh, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=fresh, Key="k", Body=b"2")
    mark = s3.delete_object(Bucket=fresh, Key="k")
    assert mark["DeleteMarker"] is True
    with refused("NoSuchKey"):
        s3.get_object(Bucket=fresh, Key="k")
    assert s3.get_object(Bucket=fresh, Key="k", VersionId=first)["Body"].read() == b"1"
    listed = s3.list_object_versions(Bucket=fresh)
    assert [one["IsLatest"] for one in listed["Versions"]] == [False, False]
    assert [one["IsLatest"] for one in listed["DeleteMarkers"]] == [True]
    s3.delete_object(Bucket=fresh, Key="k", VersionId=mark["VersionId"])
    assert s3.get_object(Bucket=fresh, Key="k")["Body"].read() == b"2"
