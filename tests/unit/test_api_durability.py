"""What was acknowledged is there after a kill and a full disk, and nothing is there by half."""

from __future__ import annotations

import contextlib
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.unit.api_child import Child, child

pytestmark = pytest.mark.slow


class Ledger:
    """What clients were told has happened."""

    def __init__(self) -> None:
        self.instances: dict[str, str] = {}
        """Its tag "n" by the instance's id."""
        self.ended: set[str] = set()
        self.volumes: set[str] = set()
        self.users: set[str] = set()
        self.keys: dict[str, str] = {}
        self.errors: list[ClientError] = []
        self._choosing = threading.Lock()

    def write(self, cloud: Child, stop: threading.Event, seed: int) -> None:
        """Change things until told to stop, or until nobody answers."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        ec2, iam = cloud.client("ec2"), cloud.client("iam")
        actions = (self._launch, self._launch, self._tag, self._end, self._volume, self._user)
        while not stop.is_set():
            try:
                chance.choice(actions)(ec2, iam, cloud.image, chance)
            except ClientError as error:
                self.errors.append(error)
            except BotoCoreError:
                return

    def _launch(self, ec2: Any, _: Any, image: str, chance: random.Random) -> None:
        name = f"{chance.random()}"
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "n", "Value": name}]}]
        count = chance.randint(1, 5)
        made = ec2.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=count, MaxCount=count, TagSpecifications=tags
        )
        self.instances.update({i["InstanceId"]: name for i in made["Instances"]})

    def _tag(self, ec2: Any, _: Any, __: str, chance: random.Random) -> None:
        with self._choosing:
            # Of two changes at a time only the cloud knows which one came last; "" is one under way.
            alive = [i for i, name in list(self.instances.items()) if name and i not in self.ended]
            if not alive:
                return
            instance, value = chance.choice(alive), f"{chance.random()}"
            # Until the answer is here, either may be true.
            self.instances[instance] = ""
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "n", "Value": value}])
        self.instances[instance] = value

    def _end(self, ec2: Any, _: Any, __: str, chance: random.Random) -> None:
        if self.instances:
            instance = chance.choice(list(self.instances))
            ec2.terminate_instances(InstanceIds=[instance])
            self.ended.add(instance)

    def _volume(self, ec2: Any, _: Any, __: str, chance: random.Random) -> None:
        self.volumes.add(ec2.create_volume(AvailabilityZone="us-east-1a", Size=chance.randint(1, 9))["VolumeId"])

    def _user(self, _: Any, iam: Any, __: str, chance: random.Random) -> None:
        name = f"u{chance.getrandbits(40)}"
        iam.create_user(UserName=name)
        self.users.add(name)
        self.keys[name] = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]

    def holds(self, instances: int) -> bool:
        """Whether something of every kind was acknowledged, and this many instances."""
        return len(self.instances) >= instances and all((self.ended, self.volumes, self.users))

    def check(self, cloud: Child) -> None:
        """Each of it is there."""
        ec2, iam = cloud.client("ec2"), cloud.client("iam")
        pages = ec2.get_paginator("describe_instances").paginate()
        found = {i["InstanceId"]: i for page in pages for r in page["Reservations"] for i in r["Instances"]}
        for instance, name in self.instances.items():
            assert instance in found
            tags = {t["Key"]: t["Value"] for t in found[instance].get("Tags", ())}
            assert name in ("", tags["n"])
            if instance in self.ended:
                assert found[instance]["State"]["Name"] in ("shutting-down", "terminated")
        volumes = {v["VolumeId"]: v for v in ec2.describe_volumes()["Volumes"]}
        assert self.volumes <= volumes.keys()
        users = {u["UserName"] for page in iam.get_paginator("list_users").paginate() for u in page["Users"]}
        assert self.users <= users
        for name, key in self.keys.items():
            assert iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["AccessKeyId"] == key


def _whole(cloud: Child) -> None:
    """No part of an instance is there without the others."""
    ec2 = cloud.client("ec2")

    def settled() -> bool:
        found = [i["State"]["Name"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
        return not set(found) & {"pending", "shutting-down"}

    _until(settled)
    volumes = {v["VolumeId"]: v for v in ec2.describe_volumes()["Volumes"]}
    interfaces = {e["NetworkInterfaceId"]: e for e in ec2.describe_network_interfaces()["NetworkInterfaces"]}
    used = set()
    for reservation in ec2.describe_instances()["Reservations"]:
        assert reservation["Instances"]
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] == "terminated":
                assert not instance["NetworkInterfaces"]
                continue
            (shown,) = instance["NetworkInterfaces"]
            interface = interfaces[shown["NetworkInterfaceId"]]
            assert interface["Attachment"]["InstanceId"] == instance["InstanceId"]
            assert interface["PrivateIpAddress"] == instance["PrivateIpAddress"]
            used.add(shown["NetworkInterfaceId"])
            (root,) = instance["BlockDeviceMappings"]
            (attached,) = volumes[root["Ebs"]["VolumeId"]]["Attachments"]
            assert attached["InstanceId"] == instance["InstanceId"]
    assert interfaces.keys() == used, "an interface of no instance"
    addresses = [e["PrivateIpAddress"] for e in interfaces.values()]
    assert len(addresses) == len(set(addresses))


def _until(condition: Callable[[], bool], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    ledger, chance = Ledger(), random.Random(4)  # noqa: S311 - no secret
    for number in range(2):
        with child(tmp_path / "cloud", tmp_path / "log") as cloud:
            if number:
                ledger.check(cloud)
            stop = threading.Event()
            writers = [
                threading.Thread(target=ledger.write, args=(cloud, stop, number * 10 + k), name=f"writer-{k}")
                for k in range(4)
            ]
            for writer in writers:
                writer.start()
            # By answers and not by the clock: a busy machine gives fewer in a second.
            _until(partial(ledger.holds, 11 * (number + 1)), timeout=120)
            time.sleep(chance.uniform(0, 0.5))
            cloud.kill()
            stop.set()
            for writer in writers:
                writer.join(30)
    with child(tmp_path / "cloud", tmp_path / "log") as cloud:
        ledger.check(cloud)
        _whole(cloud)
    assert not ledger.errors, ledger.errors[0]
    assert len(ledger.instances) > 20
    assert ledger.ended
    assert ledger.volumes
    assert ledger.users
    assert "not told" not in (tmp_path / "log").read_text()


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x" * 4096)


def _refused(action: Callable[[], Any], attempts: int = 200) -> ClientError:
    """The error of the first attempt that is refused."""
    for _ in range(attempts):
        try:
            action()
        except ClientError as error:
            return error
    raise AssertionError("nothing was refused")


def test_a_full_disk_is_an_error_to_the_caller_and_tears_nothing(tmp_path: Path) -> None:
    ledger, chance = Ledger(), random.Random(1)  # noqa: S311 - no secret
    with _small_disk(tmp_path / "disk") as disk:
        with child(disk / "cloud", tmp_path / "log") as cloud:
            ec2 = cloud.client("ec2")
            ledger._launch(ec2, None, cloud.image, chance)
            _fill(disk / "filler")
            error = _refused(lambda: ledger._launch(ec2, None, cloud.image, chance))
            assert error.response["Error"]["Code"] == "ServiceUnavailable"
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert "full" in error.response["Error"]["Message"]
            with pytest.raises(ClientError, match="ServiceUnavailable"):
                cloud.client("iam").create_user(UserName="nobody")
            ledger_before = dict(ledger.instances)
            assert ec2.describe_instances()["Reservations"], "what only reads is answered"
            (disk / "filler").unlink()
            _until(lambda: _works(lambda: ledger._launch(ec2, None, cloud.image, chance)))
            assert len(ledger.instances) > len(ledger_before)
            assert "could not be written" in (tmp_path / "log").read_text()
            _fill(disk / "filler")
            _refused(lambda: ledger._launch(ec2, None, cloud.image, chance))
        (disk / "filler").unlink()
        with child(disk / "cloud", tmp_path / "log") as cloud:
            ledger.check(cloud)
            _whole(cloud)


def _works(action: Callable[[], Any]) -> bool:
    try:
        action()
    except ClientError:
        return False
    return True


def test_a_file_that_may_not_grow_is_an_error_to_the_caller_and_tears_nothing(tmp_path: Path) -> None:
    ledger, chance = Ledger(), random.Random(2)  # noqa: S311 - no secret
    with child(tmp_path / "cloud", tmp_path / "log", limit=400_000) as cloud:
        ec2 = cloud.client("ec2")
        error = _refused(lambda: ledger._launch(ec2, None, cloud.image, chance))
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert ec2.describe_instances()["Reservations"], "it lives"
    with child(tmp_path / "cloud", tmp_path / "log") as cloud:
        ledger.check(cloud)
        _whole(cloud)
