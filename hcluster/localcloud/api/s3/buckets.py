"""Operations on buckets and what is configured for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from hcluster.localcloud.api.s3 import encryption, lifecycle_rules, names, policies, tags
from hcluster.localcloud.api.s3.answer import Answer
from hcluster.localcloud.api.s3.context import Context, read_document
from hcluster.localcloud.api.s3.documents import document, iso, parsed, tag, text_of, truth
from hcluster.localcloud.api.s3.objects import found_version
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.store import Bucket
from hcluster.localcloud.api.s3.uploads import number_of

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_OWNERSHIPS = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")
_NONE = "-"
"""The document of a setting that a new bucket has and that its owner removed."""


def list_buckets(cloud: Context, ask: Request) -> Answer:
    """ListBuckets, in pages when asked."""
    most, prefix = number_of(ask, "max-buckets", 10_000, 10_000), ask.query.get("prefix", "")
    after, region = ask.query.get("continuation-token", ""), ask.query.get("bucket-region", cloud.region)
    rows = cloud.store.database.rows(
        "select name, created, region from buckets where account=? and name>? and substr(name, 1, ?)=? and region=?"
        " order by name limit ?",
        (cloud.account, after, len(prefix), prefix, region, most + 1),
    )
    paged = bool(ask.query.keys() & {"max-buckets", "prefix", "continuation-token", "bucket-region"})
    inner = "".join(
        f"<Bucket>{tag('Name', name)}{tag('CreationDate', iso(created))}"
        f"{tag('BucketRegion', place) if paged else ''}</Bucket>"
        for name, created, place in rows[:most]
    )
    token = tag("ContinuationToken", rows[most - 1][0]) if len(rows) > most else ""
    owner = f"<Owner>{tag('ID', cloud.account)}</Owner>"
    shown = tag("Prefix", prefix) if prefix else ""
    return Answer.xml(document("ListAllMyBucketsResult", f"{owner}<Buckets>{inner}</Buckets>{token}{shown}"))


def create_bucket(cloud: Context, ask: Request) -> Answer:
    """CreateBucket: names are shared by all accounts."""
    names.check_bucket(ask.bucket)
    for header in (
        "x-amz-bucket-object-lock-enabled",
        "x-amz-grant-read",
        "x-amz-grant-write",
        "x-amz-grant-full-control",
    ):
        if ask.headers.get(header, "false").lower() != "false":
            raise problem("NotImplemented", f"{header} is not supported by the local cloud.", Header=header)
    acl, ownership = ask.headers.get("x-amz-acl", "private"), ask.headers.get("x-amz-object-ownership", _OWNERSHIPS[0])
    if acl not in names.CANNED_ACLS:
        raise problem("InvalidArgument", ArgumentName="x-amz-acl", ArgumentValue=acl)
    if acl != "private":
        raise problem("InvalidBucketAclWithObjectOwnership")
    body = read_document(ask) if ask.headers.get("content-length", "0") != "0" else b""
    _check_constraint(cloud, body)
    given = _given_tags(body)
    _check_ownership(ownership)
    with cloud.store.database.write() as connection:
        row = connection.execute("select account from buckets where name=?", (ask.bucket,)).fetchone()
        if row is not None and row[0] != cloud.account:
            raise problem("BucketAlreadyExists", BucketName=ask.bucket)
        if row is not None and cloud.region != "us-east-1":
            raise problem("BucketAlreadyOwnedByYou", BucketName=ask.bucket)
        if row is None:
            connection.execute(
                "insert into buckets(name, account, region, created) values(?,?,?,?)",
                (ask.bucket, cloud.account, cloud.region, cloud.store.now()),
            )
            if ownership != _OWNERSHIPS[0]:
                _set(connection, ask.bucket, "ownershipControls", _ownership_xml(ownership))
            if given:
                _set(connection, ask.bucket, "tagging", tags.to_xml(given).decode())
    return Answer(200, {"Location": f"/{ask.bucket}", "x-amz-bucket-arn": f"arn:aws:s3:::{ask.bucket}"})


def _check_constraint(cloud: Context, body: bytes) -> None:
    """Raises unless a bucket is asked for in the region whose endpoint is asked."""
    wanted = text_of(parsed(body, "CreateBucketConfiguration"), "LocationConstraint") if body.strip() else ""
    if wanted == "us-east-1":
        raise problem("InvalidLocationConstraint", LocationConstraint=wanted)
    if not wanted and cloud.region != "us-east-1":
        raise problem(
            "IllegalLocationConstraintException",
            "The unspecified location constraint is incompatible for the region specific endpoint this request was sent"
            " to.",
        )
    if wanted and wanted != cloud.region:
        raise problem(
            "IllegalLocationConstraintException",
            f"The {wanted} location constraint is incompatible for the region specific endpoint this request was sent"
            " to.",
        )


def _given_tags(body: bytes) -> dict[str, str]:
    found = parsed(body, "CreateBucketConfiguration").find("Tags") if body.strip() else None
    if found is None:
        return {}
    return tags.checked(((text_of(one, "Key"), text_of(one, "Value")) for one in found.findall("Tag")), tags.BUCKET)


def delete_bucket(cloud: Context, ask: Request) -> Answer:
    """DeleteBucket: unfinished uploads do not keep it, objects, versions and markers do."""
    cloud.bucket(ask)
    with cloud.store.database.write(frees=True) as connection:
        if connection.execute("select 1 from versions where bucket=? limit 1", (ask.bucket,)).fetchone():
            raise problem("BucketNotEmpty", BucketName=ask.bucket)
        files = [
            row[0]
            for row in connection.execute(
                "select file from parts where upload in (select id from uploads where bucket=?)", (ask.bucket,)
            )
        ]
        connection.execute("delete from parts where upload in (select id from uploads where bucket=?)", (ask.bucket,))
        for table in ("uploads", "settings", "completed"):
            connection.execute(f"delete from {table} where bucket=?", (ask.bucket,))  # noqa: S608 - constants
        connection.execute("delete from buckets where name=?", (ask.bucket,))
    cloud.store.files.remove(files)
    cloud.store.database.after_freeing()
    return Answer(204)


def head_bucket(cloud: Context, ask: Request) -> Answer:
    """HeadBucket."""
    found = cloud.bucket(ask)
    return Answer(
        200,
        {
            "x-amz-bucket-region": found.region,
            "x-amz-access-point-alias": "false",
            "x-amz-bucket-arn": f"arn:aws:s3:::{found.name}",
            "Content-Type": "application/xml",
        },
    )


def get_location(cloud: Context, ask: Request) -> Answer:
    """GetBucketLocation: us-east-1 is nothing."""
    region = cloud.bucket(ask).region
    return Answer.xml(document("LocationConstraint", "" if region == "us-east-1" else region))


def get_versioning(cloud: Context, ask: Request) -> Answer:
    """GetBucketVersioning."""
    mode = cloud.bucket(ask).versioning
    return Answer.xml(document("VersioningConfiguration", tag("Status", mode) if mode else ""))


def put_versioning(cloud: Context, ask: Request) -> Answer:
    """PutBucketVersioning."""
    cloud.bucket(ask)
    found = parsed(read_document(ask), "VersioningConfiguration")
    mode = text_of(found, "Status")
    if mode not in ("Enabled", "Suspended"):
        raise problem("IllegalVersioningConfigurationException")
    if text_of(found, "MfaDelete") == "Enabled":
        raise problem("NotImplemented", "MFA delete is not supported by the local cloud.")
    with cloud.store.database.write() as connection:
        connection.execute("update buckets set versioning=? where name=?", (mode, ask.bucket))
    return Answer(200)


@dataclass(frozen=True, slots=True)
class Setting:
    """A document that is configured for a bucket. Removed and absent, it is what ``default`` says, or an error."""

    check: Callable[[Context, Bucket, bytes], str]
    """What is stored of a caller's document. Raises what is wrong with it."""
    default: str
    """The document of a bucket that nobody configured, or ""."""
    absent: str
    """The error's code when there is none, or "": then ``default`` is shown again after a removal."""
    put_status: int = 200


def get_setting(cloud: Context, ask: Request) -> Answer:
    """Get…: the document."""
    kind, setting = _setting(ask)
    cloud.bucket(ask)
    found = cloud.store.setting(ask.bucket, kind)
    if found is None:
        found = setting.default or _NONE
    if found == _NONE:
        raise problem(setting.absent, BucketName=ask.bucket)
    if kind == "policy":
        return Answer(200, {"Content-Type": "application/json"}, found.encode())
    return Answer.xml(found.encode())


def put_setting(cloud: Context, ask: Request) -> Answer:
    """Put…: the whole document anew."""
    kind, setting = _setting(ask)
    stored = setting.check(cloud, cloud.bucket(ask), read_document(ask))
    with cloud.store.database.write() as connection:
        _set(connection, ask.bucket, kind, stored)
    return Answer(setting.put_status)


def delete_setting(cloud: Context, ask: Request) -> Answer:
    """Delete…: gone already is no error."""
    kind, setting = _setting(ask)
    cloud.bucket(ask)
    with cloud.store.database.write(frees=True) as connection:
        if setting.default and setting.absent:
            _set(connection, ask.bucket, kind, _NONE)
        else:
            connection.execute("delete from settings where bucket=? and kind=?", (ask.bucket, kind))
    cloud.store.database.after_freeing()
    return Answer(204)


def _set(connection: sqlite3.Connection, bucket: str, kind: str, text: str) -> None:
    if connection.execute("select 1 from buckets where name=?", (bucket,)).fetchone() is None:
        raise problem("NoSuchBucket", BucketName=bucket)
    connection.execute("insert or replace into settings values(?,?,?)", (bucket, kind, text))


def _setting(ask: Request) -> tuple[str, Setting]:
    return next((kind, setting) for kind, setting in SETTINGS.items() if kind in ask.query)


def policy_status(cloud: Context, ask: Request) -> Answer:
    """GetBucketPolicyStatus."""
    cloud.bucket(ask)
    found = cloud.store.setting(ask.bucket, "policy")
    if found is None:
        raise problem("NoSuchBucketPolicy", BucketName=ask.bucket)
    return Answer.xml(document("PolicyStatus", tag("IsPublic", truth(policies.public(found)))))


def get_acl(cloud: Context, ask: Request) -> Answer:
    """GetBucketAcl and GetObjectAcl: the owner has everything, as ACLs are off."""
    cloud.bucket(ask)
    if ask.key:
        found_version(cloud, ask)
    grantee = (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
        f"{tag('ID', cloud.account)}</Grantee>"
    )
    inner = f"<Owner>{tag('ID', cloud.account)}</Owner><AccessControlList><Grant>{grantee}"
    return Answer.xml(
        document("AccessControlPolicy", f"{inner}<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>")
    )


def put_acl(cloud: Context, ask: Request) -> Answer:
    """PutBucketAcl and PutObjectAcl: refused, as S3 does where ACLs are off."""
    cloud.bucket(ask)
    if ask.headers.get("x-amz-acl") != "bucket-owner-full-control" or not ask.key:
        raise problem("AccessControlListNotSupported")
    return Answer(200)


def _check_block(_: Context, __: Bucket, body: bytes) -> str:
    found = parsed(body, "PublicAccessBlockConfiguration")
    values = {name: text_of(found, name, "false").strip().lower() for name in _BLOCKS}
    if not set(values.values()) <= {"true", "false"}:
        raise problem("MalformedXML")
    return _block_xml(values)


def _block_xml(values: dict[str, str]) -> str:
    inner = "".join(tag(name, value) for name, value in values.items())
    return document("PublicAccessBlockConfiguration", inner).decode()


def _check_ownership(value: str) -> str:
    if value not in _OWNERSHIPS:
        raise problem("InvalidArgument", "Invalid x-amz-object-ownership header", ArgumentName="x-amz-object-ownership")
    if value != _OWNERSHIPS[0]:
        raise problem("NotImplemented", "ACLs are not supported by the local cloud: ownership is BucketOwnerEnforced.")
    return value


def _ownership_xml(value: str) -> str:
    return document("OwnershipControls", f"<Rule>{tag('ObjectOwnership', value)}</Rule>").decode()


def _check_ownership_document(_: Context, __: Bucket, body: bytes) -> str:
    rule = parsed(body, "OwnershipControls").find("Rule")
    if rule is None or text_of(rule, "ObjectOwnership") not in _OWNERSHIPS:
        raise problem("MalformedXML")
    return _ownership_xml(_check_ownership(text_of(rule, "ObjectOwnership")))


def _check_lifecycle(_: Context, __: Bucket, body: bytes) -> str:
    lifecycle_rules.rules_of(body)
    return body.decode()


def _check_policy(cloud: Context, bucket: Bucket, body: bytes) -> str:
    text = policies.checked(body, bucket.name)
    block = cloud.store.setting(bucket.name, "publicAccessBlock") or SETTINGS["publicAccessBlock"].default
    blocks = block != _NONE and text_of(parsed(block.encode(), "PublicAccessBlockConfiguration"), _BLOCKS[2]) == "true"
    if blocks and policies.public(text):
        raise problem(
            "AccessDenied",
            "Access Denied: public policies are blocked by the BlockPublicPolicy setting in S3 Block Public Access.",
        )
    return text


def _check_tags(_: Context, __: Bucket, body: bytes) -> str:
    return tags.to_xml(tags.from_xml(body, tags.BUCKET)).decode()


def _check_encryption(_: Context, __: Bucket, body: bytes) -> str:
    return encryption.checked(body)


def _only(root: str, default: str, *allowed: str) -> Setting:
    """A setting that has no effect here: only what changes nothing is accepted."""

    def check(_: Context, __: Bucket, body: bytes) -> str:
        texts = [text for one in parsed(body, root).iter() if (text := (one.text or "").strip())]
        if any(text not in allowed for text in texts):
            raise problem("NotImplemented", f"{root} is not supported by the local cloud.")
        return document(root, default).decode()

    return Setting(check, document(root, default).decode(), "")


SETTINGS: dict[str, Setting] = {
    "policy": Setting(_check_policy, "", "NoSuchBucketPolicy", 204),
    "tagging": Setting(_check_tags, "", "NoSuchTagSet", 204),
    "encryption": Setting(_check_encryption, encryption.DEFAULT, ""),
    "lifecycle": Setting(_check_lifecycle, "", "NoSuchLifecycleConfiguration"),
    # New buckets have both since April 2023:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    "publicAccessBlock": Setting(
        _check_block, _block_xml(dict.fromkeys(_BLOCKS, "true")), "NoSuchPublicAccessBlockConfiguration"
    ),
    "ownershipControls": Setting(
        _check_ownership_document, _ownership_xml(_OWNERSHIPS[0]), "OwnershipControlsNotFoundError"
    ),
    "logging": _only("BucketLoggingStatus", ""),
    "notification": _only("NotificationConfiguration", ""),
    "accelerate": _only("AccelerateConfiguration", "", "Suspended"),
    "requestPayment": _only("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>", "BucketOwner"),
}
