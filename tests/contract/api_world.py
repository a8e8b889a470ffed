"""The boto3 adapter's world: the embedded cloud's API in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hcluster.aws.account import AwsAccount
from hcluster.aws.checkins import StoredCheckIns
from hcluster.aws.compute import AwsCompute
from hcluster.aws.identity import TRUST
from hcluster.aws.images import AwsImages
from hcluster.aws.objects import S3ObjectStore
from hcluster.aws.prices import AwsPrices
from hcluster.aws.session import AwsSession
from hcluster.ports import ObjectStore
from tests.contract.world import World

REPOSITORY = Path(__file__).parents[2]
PROFILE = "contract"
REGION = "us-east-1"
FOREIGN_BUCKET = "somebody-elses-bucket"


class SystemClock:
    """Real time."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Api:
    """The process, the AWS profile that leads to it, and one instance to make images of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clock = SystemClock()

    def __enter__(self) -> Self:
        self._log = (self._folder / "api.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.api_process", str(self._folder)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self._folder / "api.log").read_text()
        said = json.loads(line)
        aws = self._folder / "aws"
        aws.mkdir()
        url = f"http://127.0.0.1:{said['port']}"
        (aws / "config").write_text(f"[profile {PROFILE}]\nregion = {REGION}\nendpoint_url = {url}\n")
        access, secret = said["keys"]
        (aws / "credentials").write_text(
            f"[{PROFILE}]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"
        )
        # The adapter shall do with the part of the SDK's descriptions that the command line keeps for it.
        self.session = AwsSession(PROFILE, aws, REGION, self._folder / "sdk")
        self.whole = AwsSession(PROFILE, aws, REGION)
        """For what tests do themselves."""
        self.ec2: Any = self.whole.client("ec2")
        answer = self.ec2.describe_images(Owners=["136693071363"])["Images"]
        newest = max(answer, key=lambda image: str(image["CreationDate"]))
        self.base = str(newest["ImageId"])
        launched = self.ec2.run_instances(ImageId=self.base, InstanceType="m5.large", MinCount=1, MaxCount=1)
        self.seed = str(launched["Instances"][0]["InstanceId"])
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        small = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.64.240.0/28", AvailabilityZone=f"{REGION}c")
        self.small_subnet = str(small["Subnet"]["SubnetId"])
        self._await_seed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ec2.close()
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._log.close()

    def _await_seed(self) -> None:
        end = time.monotonic() + 20
        while self._state() != "running":
            assert time.monotonic() < end, "the first instance never ran"
            time.sleep(0.05)

    def _state(self) -> str:
        found = self.ec2.describe_instances(InstanceIds=[self.seed])
        return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])


class ApiWorld(World):
    """``hcluster.aws`` over that API."""

    def __init__(self, api: Api, folder: Path) -> None:
        super().__init__(folder)
        self._api = api
        self.clock = api.clock
        self.compute = AwsCompute(api.session, api.clock)
        self.account = AwsAccount(api.session, api.clock)
        self.prices = AwsPrices(api.session, api.clock)
        self.images = AwsImages(api.session, api.clock)
        self.store = S3ObjectStore(api.session, f"bucket-{self.name}", api.clock)
        self.checkins = StoredCheckIns(self.store)
        self.small_subnet = api.small_subnet
        self.base_owner = "136693071363"
        self.base_pattern = "debian-12-amd64-*"
        self.newest_base = api.base

    def foreign_store(self) -> ObjectStore:
        """The adapter of a bucket that belongs to another account."""
        return S3ObjectStore(self._api.session, FOREIGN_BUCKET, self.clock)

    def register_image(self, name: str, tags: Mapping[str, str]) -> str:
        """What baking leaves; the image's id."""
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        answer = self._api.ec2.create_image(
            InstanceId=self._api.seed,
            Name=name,
            NoReboot=True,
            TagSpecifications=[{"ResourceType": "image", "Tags": listed}],
        )
        image = str(answer["ImageId"])
        self.until(lambda: self.images.image(image).state == "available")
        return image

    def leave_volume(self, tags: Mapping[str, str]) -> None:
        """A volume of no instance."""
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self._api.ec2.create_volume(
            AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": listed}]
        )

    def foreign_profile(self, name: str, tags: Mapping[str, str]) -> None:
        """A role and its instance profile with exactly these tags."""
        iam, listed = self._api.session.client("iam"), [{"Key": key, "Value": value} for key, value in tags.items()]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=listed)
        iam.create_instance_profile(InstanceProfileName=name, Tags=listed)
