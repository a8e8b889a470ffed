"""The account that the suite runs on: the embedded cloud's API with machines that only exist in name, or a real one.

Whatever a test makes carries the run's tag or begins with its prefix, so that ``sweep`` finds it again even when the
test was cut off.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.aws import spend

T = TypeVar("T")
TAG = "hcluster-contract"
PATH = "/hcluster-contract/"
"""Of roles, users, profiles and policies."""
DEBIAN = "136693071363"


def code_of(error: ClientError) -> str:
    """The service's own word for a failure."""
    return str(error.response["Error"]["Code"])


def status_of(error: ClientError) -> int:
    """The HTTP status of a failure."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


@contextmanager
def refused(*codes: str) -> Iterator[pytest.ExceptionInfo[ClientError]]:
    """The block is refused with one of ``codes``."""
    with pytest.raises(ClientError) as caught:
        yield caught
    assert code_of(caught.value) in codes, caught.value


class Account:
    """Clients, names, tags and a count of what is launched. ``local``: the embedded cloud."""

    def __init__(self, session: boto3.Session, endpoint: str = "") -> None:
        self.local = bool(endpoint)
        self.endpoint = endpoint
        self.session = session
        self.region = str(session.region_name)
        self.prefix = f"hcontract-{uuid.uuid4().hex[:10]}"
        self.tags = [{"Key": TAG, "Value": self.prefix}]
        self.type = spend.INSTANCE_TYPE
        self.launched = 0
        self._clients: dict[tuple[str, ...], Any] = {}
        self._numbers = itertools.count(1)
        self.id = str(self.client("sts").get_caller_identity()["Account"])

    # Clients

    def client(self, service: str, keys: Sequence[str] = (), *, region: str = "", signature: str = "") -> Any:
        """A client; ``keys``: (access key, secret key, session token) of somebody else than the account's caller."""
        known = (service, region, signature, *keys)
        if known not in self._clients:
            more: dict[str, Any] = {}
            if keys:
                more = dict(
                    zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), keys, strict=False)
                )
            if self.endpoint:
                more["endpoint_url"] = self.endpoint
            config = Config(
                signature_version=signature or None,
                retries={"mode": "standard", "total_max_attempts": 1 if self.local else 6},
                connect_timeout=30,
                read_timeout=60,
            )
            self._clients[known] = self.session.client(
                service, region_name=region or self.region, config=config, **more
            )
        return self._clients[known]

    @property
    def ec2(self) -> Any:
        """EC2 as the account's caller."""
        return self.client("ec2")

    @property
    def iam(self) -> Any:
        """IAM as the account's caller."""
        return self.client("iam")

    @property
    def s3(self) -> Any:
        """S3 as the account's caller."""
        return self.client("s3")

    # Names, tags, waiting

    def name(self, what: str = "x") -> str:
        """A name that nothing else has."""
        return f"{self.prefix}-{what}-{next(self._numbers)}"

    def tagged(self, *kinds: str, **more: str) -> list[dict[str, Any]]:
        """TagSpecifications with the run's tag and ``more``."""
        extra = [{"Key": key, "Value": value} for key, value in more.items()]
        return [{"ResourceType": kind, "Tags": [*self.tags, *extra]} for kind in kinds]

    def mine(self) -> list[dict[str, Any]]:
        """The filter for everything of this run."""
        return [{"Name": f"tag:{TAG}", "Values": [self.prefix]}]

    def until(self, read: Callable[[], T], good: Callable[[T], object] = bool, seconds: float = 0) -> T:
        """What ``read`` gives once it is good: services are eventually consistent."""
        end = time.monotonic() + (seconds or (30 if self.local else 180))
        while not good(found := read()):
            assert time.monotonic() < end, f"it never came to hold: {found!r}"
            time.sleep(0.02 if self.local else 3)
        return found

    def granted(self, call: Callable[[], T]) -> T:
        """What ``call`` gives once new permissions have come through: IAM is eventually consistent."""
        end = time.monotonic() + (0 if self.local else 90)
        while True:
            try:
                return call()
            except ClientError as error:
                denied = code_of(error) in ("AccessDenied", "UnauthorizedOperation", "InvalidClientTokenId", "403")
                if not denied or time.monotonic() >= end:
                    raise
            time.sleep(3)

    # What most tests stand on

    def images(self) -> list[dict[str, Any]]:
        """Debian's own images, newest first."""
        found = self.ec2.describe_images(Owners=[DEBIAN], Filters=[{"Name": "name", "Values": ["debian-12-amd64-2*"]}])[
            "Images"
        ]
        return sorted(found, key=lambda image: str(image["CreationDate"]), reverse=True)

    def subnets(self) -> list[dict[str, Any]]:
        """The default VPC's subnets by zone."""
        filters = [{"Name": "default-for-az", "Values": ["true"]}]
        found = self.ec2.describe_subnets(Filters=filters)["Subnets"]
        return sorted(found, key=lambda subnet: str(subnet["AvailabilityZone"]))

    def run(self, count: int = 1, **request: Any) -> dict[str, Any]:
        """RunInstances; the reservation. The run's tag is added unless the request brings tags of its own."""
        self.count(count)
        defaults: dict[str, Any] = {"TagSpecifications": self.tagged("instance", "volume", "network-interface")}
        if "LaunchTemplate" not in request:
            defaults |= {"ImageId": self.image, "InstanceType": self.type}
        return dict(self.ec2.run_instances(**({"MinCount": count, "MaxCount": count} | defaults | request)))

    @property
    def image(self) -> str:
        """The newest base image."""
        if not hasattr(self, "_image"):
            self._image = str(self.images()[0]["ImageId"])
        return self._image

    def count(self, instances: int) -> None:
        """Refuse to launch more than was announced."""
        if not self.local:
            self.launched += instances
            assert self.launched <= spend.INSTANCES, "the run launches more than it announced"

    def instance(self, instance_id: str) -> dict[str, Any]:
        """One instance as DescribeInstances tells it."""
        found = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return dict(found[0]["Instances"][0])

    def state(self, instance_id: str) -> str:
        """The name of its state."""
        return str(self.instance(instance_id)["State"]["Name"])

    def becomes(self, instance_id: str, state: str) -> dict[str, Any]:
        """The instance, once it is in that state."""
        return self.until(lambda: self.instance(instance_id), lambda found: found["State"]["Name"] == state)

    def terminate(self, *instances: str) -> None:
        """End them and wait for it."""
        self.ec2.terminate_instances(InstanceIds=list(instances))
        for one in instances:
            self.becomes(one, "terminated")
