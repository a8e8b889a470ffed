"""Web identities: tokens of a provider on loopback, verified against its keys.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.oidc import Provider, Verifier, check_host
from tests.unit.api_cloud import Cloud, running_cloud

NETWORK = IPv4Network("10.77.0.0/16")
AUDIENCE = "hcluster"
TAGS = "https://aws.amazon.com/tags"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """An OpenID provider with one RSA and one EC key."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())

    def answer(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        assert self.gate.wait(10)
        if path.endswith("/.well-known/openid-configuration"):
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        one, two = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        return {
            "keys": [
                {"kid": "r", "kty": "RSA", "use": "sig", "alg": "RS256", "n": number(one.n), "e": number(one.e)},
                {"kid": "e", "kty": "EC", "crv": "P-256", "x": number(two.x), "y": number(two.y)},
            ]
        }

    def token(self, algorithm: str = "RS256", key: Any = None, kid: str = "", **claims: Any) -> str:
        header = {"alg": algorithm, "typ": "JWT", "kid": kid or ("r" if algorithm == "RS256" else "e")}
        now = int(time.time())
        body = {"iss": self.url, "aud": AUDIENCE, "sub": "job:main", "iat": now, "exp": now + 300} | claims
        body = {name: value for name, value in body.items() if value is not None}
        signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(body).encode())}"
        if algorithm == "ES256":
            r, s = decode_dss_signature(self.ec.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        elif algorithm == "none":
            signature = b""
        else:
            signature = (key or self.rsa).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encoded(signature)}"


@contextmanager
def serving() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(issuer.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/id"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        iam = found.client("iam")
        arn = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE], ThumbprintList=["a" * 40])[
            "OpenIDConnectProviderArn"
        ]
        name = issuer.url.partition("://")[2]
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
            "Condition": {"StringEquals": {f"{name}:aud": AUDIENCE}, "StringLike": {f"{name}:sub": "job:*"}},
        }
        reads = {
            "Effect": "Allow",
            "Action": "s3:ListAllMyBuckets",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/team": "red", f"{name}:sub": "job:main"}},
        }
        iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=_document(trust))
        iam.put_role_policy(RoleName="deploy", PolicyName="own", PolicyDocument=_document(reads))
        iam.create_role(
            RoleName="people",
            AssumeRolePolicyDocument=_document({**trust, "Principal": {"AWS": "*"}}),
        )
        yield found


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def anonymous(cloud: Cloud) -> Any:
    """An STS client without any keys, as SDKs make it for web identities."""
    return boto3.Session(region_name="us-east-1").client(
        "sts", endpoint_url=cloud.url, config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0})
    )


def assume(cloud: Cloud, token: str, role: str = "deploy", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = anonymous(cloud).assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName="run-1", WebIdentityToken=token, **more
    )
    return found


def refused(cloud: Cloud, token: str, role: str = "deploy", **more: Any) -> str:
    with pytest.raises(ClientError) as error:
        assume(cloud, token, role, **more)
    told = error.value.response["Error"]
    return f"{told['Code']}: {told['Message']}"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_the_provider_begins_a_session_with_its_claims_and_tags(
    cloud: Cloud, issuer: Issuer, algorithm: str
) -> None:
    tags: dict[str, Any] = {TAGS: {"principal_tags": {"team": ["red"]}, "transitive_tag_keys": ["team"]}}
    token = issuer.token(algorithm, **tags)
    given = assume(cloud, token)
    assert given["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/deploy/run-1"
    assert (given["SubjectFromWebIdentityToken"], given["Audience"]) == ("job:main", AUDIENCE)
    found = given["Credentials"]
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    assert "Buckets" in cloud.client("s3", keys).list_buckets()
    plain = assume(cloud, issuer.token(algorithm))["Credentials"]
    keys = (plain["AccessKeyId"], plain["SecretAccessKey"], plain["SessionToken"])
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("s3", keys).list_buckets()


def test_tokens_that_are_not_right_are_refused(cloud: Cloud, issuer: Issuer) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = issuer.token()
    head, body, signature = good.split(".")
    forged = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = encoded(json.dumps({**forged, "sub": "job:admin"}).encode())
    for token, code in (
        (issuer.token(key=other), "InvalidIdentityToken: The ID Token's signature"),
        (f"{head}.{forged}.{signature}", "InvalidIdentityToken: The ID Token's signature"),
        (issuer.token("none"), "InvalidIdentityToken"),
        (issuer.token(kid="unknown"), "InvalidIdentityToken: Couldn't retrieve verification key"),
        (issuer.token(aud="other"), "InvalidIdentityToken: Incorrect token audience"),
        (issuer.token(exp=int(time.time()) - 1), "ExpiredTokenException: Token expired"),
        (issuer.token(nbf=int(time.time()) + 900), "InvalidIdentityToken: The ID Token is not valid yet"),
        (issuer.token(sub=None), "InvalidIdentityToken: Missing a required claim: sub"),
        (issuer.token(iss="http://127.0.0.1:1/id"), "InvalidIdentityToken: No OpenIDConnect provider found"),
        (issuer.token(iss=issuer.url.replace("http:", "https:")), "InvalidIdentityToken"),
        (issuer.token(sub="person"), "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ("what.is.this", "InvalidIdentityToken: The ID Token provided is not a valid JWT"),
    ):
        assert refused(cloud, token).startswith(code), code
    assert refused(cloud, good, "people").startswith("AccessDenied"), "a role that trusts no provider"
    assert refused(cloud, good, "none").startswith("AccessDenied"), "a role that is not there"


def test_saml_and_other_calls_without_a_signature_stay_refused(cloud: Cloud) -> None:
    sts = anonymous(cloud)
    with pytest.raises(ClientError, match=r"MissingAuthenticationToken|AccessDenied"):
        sts.assume_role_with_saml(
            RoleArn="arn:aws:iam::123456789012:role/deploy",
            PrincipalArn="arn:aws:iam::123456789012:saml-provider/x",
            SAMLAssertion="YWJjZA==",
        )
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        sts.get_caller_identity()


def test_a_slow_provider_holds_nobody_up(cloud: Cloud) -> None:
    with serving() as slow:
        cloud.client("iam").create_open_id_connect_provider(Url=slow.url, ClientIDList=[AUDIENCE], ThumbprintList=[])
        slow.gate.clear()
        done: list[str] = []
        waiting = threading.Thread(target=lambda: done.append(refused(cloud, slow.token())))
        waiting.start()
        while not slow.asked:
            time.sleep(0.01)
        assert cloud.client("sts").get_caller_identity()["Account"]
        assert cloud.client("ec2").describe_vpcs()["Vpcs"]
        assert not done, "they were answered while it waits"
        slow.gate.set()
        waiting.join(10)
        assert done
        assert done[0].startswith("AccessDenied"), "the role does not trust it"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/x",
        "http://8.8.8.8/x",
        "http://10.78.0.1/x",
        "http://169.254.169.254/latest",
        "http://[2001:db8::1]/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_no_provider_outside_is_ever_asked(address: str) -> None:
    with pytest.raises(Fault, match="IDPCommunicationError"):
        check_host(address, NETWORK)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/x", "https://localhost/x", "http://[::1]/x", "http://10.77.9.9/"]
)
def test_loopback_and_the_clouds_network_are(address: str) -> None:
    check_host(address, NETWORK)


def test_keys_elsewhere_than_the_provider_are_not_fetched_from_outside() -> None:
    asked: list[str] = []

    def fetch(address: str, _: Sequence[str]) -> bytes:
        asked.append(address)
        return json.dumps({"issuer": "http://127.0.0.1/id", "jwks_uri": "https://evil.example/keys"}).encode()

    issuer = Issuer()
    issuer.url = "http://127.0.0.1/id"
    provider = Provider("arn", issuer.url, (AUDIENCE,))
    with pytest.raises(Fault, match="IDPCommunicationError"):
        Verifier(NETWORK, fetch).verify(issuer.token(), [provider], datetime.now(UTC))
    assert asked == ["http://127.0.0.1/id/.well-known/openid-configuration"]
