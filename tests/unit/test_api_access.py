"""Who may do what: signatures, users, roles, the nodes' credentials; and errors that every SDK can read."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.unit.api_cloud import Cloud, running_cloud

TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def _deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource} | more


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        s3 = found.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="public/1", Body=b"1")
        s3.put_object(Bucket="bucket", Key="private/1", Body=b"1")
        yield found


def _user(cloud: Cloud, name: str, *statements: dict[str, Any]) -> tuple[str, str]:
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=_document(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def _role(cloud: Cloud, name: str, trust: dict[str, Any], *statements: dict[str, Any]) -> str:
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_document(*statements))
    return str(arn)


def _code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def test_the_administrator_is_a_user_of_the_account(cloud: Cloud) -> None:
    who = cloud.client("sts").get_caller_identity()
    assert who["Arn"] == "arn:aws:iam::123456789012:user/hcluster-admin"
    assert who["Account"] == "123456789012"


def test_unknown_keys_and_wrong_secrets_are_refused(cloud: Cloud) -> None:
    access, _ = cloud.keys
    unknown = ("AKIA" + "Q" * 16, "x")
    assert _code(cloud.client("ec2", unknown).describe_instances) == "AuthFailure"
    assert _code(cloud.client("s3", unknown).list_buckets) == "InvalidAccessKeyId"
    assert _code(cloud.client("sts", unknown).get_caller_identity) == "InvalidClientTokenId"
    wrong = (access, "wrong")
    assert _code(cloud.client("ec2", wrong).describe_instances) == "AuthFailure"
    assert _code(cloud.client("s3", wrong).list_buckets) == "SignatureDoesNotMatch"
    assert _code(cloud.client("iam", wrong).list_users) == "SignatureDoesNotMatch"


def test_anonymous_callers_and_motos_own_doors_are_refused(cloud: Cloud) -> None:
    for method, path, body in (
        ("GET", "/bucket/public/1", ""),
        ("POST", "/", "Action=DescribeInstances&Version=2016-11-15"),
        ("POST", "/moto-api/reset", ""),
        ("POST", "/moto-api/reset-auth", "1000"),
        ("GET", "/latest/meta-data/", ""),
    ):
        connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=5)
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body.startswith("Action") else {}
        connection.request(method, path, body, kind)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert (answer.status, "<Error>" in text) == (403, True), (path, text)
        connection.close()
    assert cloud.client("s3").list_buckets()["Buckets"], "nothing was reset"


def test_requests_that_name_no_action_or_s3_in_capitals_are_refused(cloud: Cloud) -> None:
    for service, code in (("ec2", "MissingAction"), ("S3", "IncompleteSignature")):
        request = AWSRequest("GET", f"{cloud.url}/")
        SigV4Auth(Credentials(*cloud.keys), service, "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=5)
        connection.request("GET", "/", headers=dict(request.headers))
        answer = connection.getresponse()
        assert (answer.status, f"<Code>{code}</Code>" in answer.read().decode()) == (400, True), service
        connection.close()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Content-Length: 99999999999999999999", b"", 413),
        ("Content-Length: many", b"", 400),
        ("Transfer-Encoding: chunked", b"100000\r\n" + bytes(1 << 20) + b"\r\n", 413),
    ],
)
def test_nobody_fills_the_memory_with_a_body_that_is_no_calls(
    cloud: Cloud, headers: str, body: bytes, status: int
) -> None:
    host, _, port = cloud.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n\r\n".encode() + body * 17)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


def test_one_region(cloud: Cloud) -> None:
    assert _code(cloud.client("ec2", region="eu-west-1").describe_instances) == "AuthFailure"
    assert _code(cloud.client("s3", region="eu-west-1").list_buckets) == "AuthorizationHeaderMalformed"


def test_a_user_may_do_what_its_policies_say(cloud: Cloud) -> None:
    keys = _user(
        cloud,
        "reader",
        _allow(["ec2:Describe*"]),
        _allow("s3:GetObject", "arn:aws:s3:::bucket/public/*"),
        _allow("s3:ListBucket", "arn:aws:s3:::bucket", Condition={"StringLike": {"s3:prefix": "public/*"}}),
        _deny("ec2:DescribeVolumes"),
    )
    ec2, s3 = cloud.client("ec2", keys), cloud.client("s3", keys)
    assert ec2.describe_instances()["Reservations"] == []
    assert _code(ec2.describe_volumes) == "UnauthorizedOperation"
    assert _code(ec2.create_key_pair, KeyName="x") == "UnauthorizedOperation"
    assert s3.get_object(Bucket="bucket", Key="public/1")["Body"].read() == b"1"
    assert _code(s3.get_object, Bucket="bucket", Key="private/1") == "AccessDenied"
    assert _code(s3.put_object, Bucket="bucket", Key="public/2", Body=b"") == "AccessDenied"
    assert len(s3.list_objects_v2(Bucket="bucket", Prefix="public/")["Contents"]) == 1
    assert _code(s3.list_objects_v2, Bucket="bucket") == "AccessDenied"
    assert _code(cloud.client("iam", keys).list_users) == "AccessDenied"


def test_deleting_many_needs_the_right_to_each(cloud: Cloud) -> None:
    keys = _user(cloud, "cleaner", _allow("s3:*Object", "arn:aws:s3:::bucket/tmp/*"))
    s3 = cloud.client("s3", keys)
    for name in ("a", "b"):
        s3.put_object(Bucket="bucket", Key=f"tmp/{name}", Body=b"")
    done = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "tmp/a"}, {"Key": "tmp/b"}]})
    assert {d["Key"] for d in done["Deleted"]} == {"tmp/a", "tmp/b"}
    refused = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "private/1"}]})
    assert refused["Errors"][0]["Code"] == "AccessDenied"
    assert cloud.client("s3").head_object(Bucket="bucket", Key="private/1")["ContentLength"] == 1


def test_copying_needs_the_right_to_read_the_source(cloud: Cloud) -> None:
    keys = _user(
        cloud,
        "copier",
        _allow("s3:PutObject", "arn:aws:s3:::bucket/*"),
        _allow("s3:GetObject", "arn:aws:s3:::bucket/public/*"),
    )
    s3 = cloud.client("s3", keys)
    s3.copy_object(Bucket="bucket", Key="copied", CopySource="bucket/public/1")
    assert _code(s3.copy_object, Bucket="bucket", Key="copied", CopySource="bucket/private/1") == "AccessDenied"


def test_a_role_is_assumed_by_whom_it_trusts(cloud: Cloud) -> None:
    keys = _user(cloud, "assumer", _allow("sts:AssumeRole"))
    arn = "arn:aws:iam::123456789012:user/assumer"
    reads = _allow("s3:GetObject", "arn:aws:s3:::bucket/*")
    trusted = _role(
        cloud, "trusting", {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}, reads
    )
    nodes_only = _role(cloud, "nodes-only", TRUST, reads)
    sts = cloud.client("sts", keys)
    assert _code(sts.assume_role, RoleArn=nodes_only, RoleSessionName="me") == "AccessDenied"
    assert _code(sts.assume_role, RoleArn=trusted + "x", RoleSessionName="me") == "AccessDenied"
    bound = _document(_allow("s3:GetObject", "arn:aws:s3:::bucket/public/*"))
    given = sts.assume_role(RoleArn=trusted, RoleSessionName="me", Policy=bound)["Credentials"]
    session = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert cloud.client("sts", session).get_caller_identity()["Arn"].endswith(":assumed-role/trusting/me")
    s3 = cloud.client("s3", session)
    assert s3.get_object(Bucket="bucket", Key="public/1")["Body"].read() == b"1"
    assert _code(s3.get_object, Bucket="bucket", Key="private/1") == "AccessDenied", "the session policy bounds it"
    assert _code(cloud.client("s3", (*session[:2], "stolen")).list_buckets) == "InvalidToken"


def test_unsupported_operations_and_filters_give_errors_that_sdks_read(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    for call, arguments in (
        (ec2.describe_mac_hosts, {}),
        (cloud.client("iam").get_organizations_access_report, {"JobId": "x" * 36}),
    ):
        with pytest.raises(ClientError) as error:
            call(**arguments)
        assert error.value.response["Error"]["Code"] in ("UnsupportedOperation", "InvalidAction")
        assert "local cloud" in error.value.response["Error"]["Message"]
    assert (
        _code(ec2.describe_instances, Filters=[{"Name": "no-such-filter", "Values": ["x"]}]) == "InvalidParameterValue"
    )


def test_the_metadata_service_speaks_version_two_only(cloud: Cloud) -> None:
    instance = cloud.run(1)[0]
    with cloud.metadata_of(instance) as imds:
        assert imds.request("GET", "/latest/meta-data/instance-id")[0] == 401
        assert imds.request("GET", "/latest/meta-data/instance-id", {"X-aws-ec2-metadata-token": "made-up"})[0] == 401
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        assert imds.request("PUT", "/latest/api/token", ttl | {"X-Forwarded-For": "1.2.3.4"})[0] == 403
        assert imds.request("PUT", "/latest/api/token")[0] == 400
        assert imds.request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21601"})[0] == 400
        token = imds.token()
        cloud.server._servers[1].tokens._held[token] = ("10.77.1.1", 1e12)  # type: ignore[attr-defined]
        assert imds.request("GET", "/latest/meta-data/", {"X-aws-ec2-metadata-token": token})[0] == 401, (
            "bound to its address"
        )


def test_what_the_metadata_service_shows(cloud: Cloud) -> None:
    options = {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "hcluster:cluster", "Value": "a"}]}]
    instance = cloud.run(1, MetadataOptions=options, TagSpecifications=tags, UserData="hello")[0]
    shown = cloud.describe(instance)
    with cloud.metadata_of(instance) as imds:
        assert imds.get("meta-data/instance-id") == instance
        assert imds.get("meta-data/ami-id") == shown["ImageId"]
        assert imds.get("meta-data/instance-type") == "m5.large"
        assert imds.get("meta-data/local-hostname") == imds.get("meta-data/hostname") == shown["PrivateDnsName"]
        assert imds.get("meta-data/mac") == shown["NetworkInterfaces"][0]["MacAddress"]
        assert imds.get("meta-data/placement/availability-zone") == "us-east-1a"
        assert imds.get("meta-data/placement/region") == "us-east-1"
        assert imds.get("meta-data/instance-life-cycle") == "on-demand"
        assert imds.get("meta-data/security-groups") == "default"
        assert imds.get("meta-data/services/partition") == "aws"
        assert imds.get("meta-data/tags/instance/hcluster:cluster") == "a"
        assert imds.get("meta-data/tags/instance/") == "hcluster:cluster"
        assert imds.get("user-data") == "hello"
        document = json.loads(imds.get("dynamic/instance-identity/document"))
        assert document["instanceId"] == instance
        assert document["region"] == "us-east-1"
        assert "placement/" in imds.get("meta-data/").split("\n")
        assert "mac" in imds.get("meta-data").split("\n")
        headers = {"X-aws-ec2-metadata-token": imds.token()}
        for missing in ("spot/instance-action", "iam/info", "public-keys/0/openssh-key", "no/such/thing"):
            assert imds.request("GET", f"/latest/meta-data/{missing}", headers)[0] == 404
        cloud.server._metadata.notices[instance] = '{"action": "terminate", "time": "2026-01-01T00:00:00Z"}'
        assert json.loads(imds.get("meta-data/spot/instance-action"))["action"] == "terminate"
        cloud.client("ec2").modify_instance_metadata_options(InstanceId=instance, HttpEndpoint="disabled")
        assert imds.request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "9"})[0] == 403


def test_a_nodes_credentials_carry_the_rights_of_its_role_and_no_more(cloud: Cloud) -> None:
    _role(cloud, "node", TRUST, _allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::bucket/public/*"))
    iam = cloud.client("iam")
    iam.create_instance_profile(InstanceProfileName="node")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    instance = cloud.run(1, IamInstanceProfile={"Name": "node"})[0]
    with cloud.metadata_of(instance) as imds:
        assert json.loads(imds.get("meta-data/iam/info"))["InstanceProfileArn"].endswith("instance-profile/node")
        assert imds.get("meta-data/iam/security-credentials/") == "node"
        given = json.loads(imds.get("meta-data/iam/security-credentials/node"))
        assert json.loads(imds.get("meta-data/iam/security-credentials/node"))["AccessKeyId"] == given["AccessKeyId"]
    session = (given["AccessKeyId"], given["SecretAccessKey"], given["Token"])
    assert given["Code"] == "Success"
    assert given["Expiration"] > given["LastUpdated"]
    who = cloud.client("sts", session).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::123456789012:assumed-role/node/{instance}"
    s3 = cloud.client("s3", session)
    s3.put_object(Bucket="bucket", Key="public/from-node", Body=b"x" * 100_000)
    assert len(s3.get_object(Bucket="bucket", Key="public/from-node")["Body"].read()) == 100_000
    assert _code(s3.get_object, Bucket="bucket", Key="private/1") == "AccessDenied"
    assert _code(cloud.client("ec2", session).describe_instances) == "UnauthorizedOperation"


def test_boto3_inside_a_node_needs_nothing_but_its_profile(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = cloud.client("iam")
    _role(cloud, "by-profile", TRUST, _allow("s3:ListBucket", "arn:aws:s3:::bucket"))
    iam.create_instance_profile(InstanceProfileName="by-profile")
    iam.add_role_to_instance_profile(InstanceProfileName="by-profile", RoleName="by-profile")
    instance = cloud.run(1, IamInstanceProfile={"Name": "by-profile"})[0]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{cloud.imds_port}")
    with cloud.metadata_of(instance):
        s3 = boto3.Session(region_name="us-east-1").client("s3", endpoint_url=cloud.url)
        assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] >= 2


def test_a_pushed_ssh_key_opens_a_user_for_a_minute(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = cloud.run(1)[0]
    connect = cloud.client("ec2-instance-connect")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9d0nGHPgmQm8VW7IDhvC1zT0ERpUDdBzMxI0lV4V9s me"
    connect.send_ssh_public_key(InstanceId=instance, InstanceOSUser="admin", SSHPublicKey=key)
    with cloud.metadata_of(instance) as imds:
        assert imds.get("meta-data/managed-ssh-keys/active-keys/admin") == key + "\n"
        headers = {"X-aws-ec2-metadata-token": imds.token()}
        assert imds.request("GET", "/latest/meta-data/managed-ssh-keys/active-keys/root", headers)[0] == 404
        held = cloud.server._backend.pushed[instance, "admin"]
        held[0] = (held[0][0] - 61, held[0][1])
        assert imds.request("GET", "/latest/meta-data/managed-ssh-keys/active-keys/admin", headers)[0] == 404
    code = _code(
        connect.send_ssh_public_key, InstanceId="i-00000000000000000", InstanceOSUser="admin", SSHPublicKey=key
    )
    assert code == "EC2InstanceNotFoundException"
