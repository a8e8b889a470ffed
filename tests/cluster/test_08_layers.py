"""A team's own image, baked as a layer on the Hadoop image."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hcluster.model import names
from hcluster.model.user_data import builder_user_data
from tests.cluster.conftest import Cloud, Hcluster, wait_until

NAME = f"layer-{os.getpid()}"
PARTS = """\
packages: [jq]
python: [tabulate==0.9.0]
jars:
  - {file: own.jar, sha256: %(sha256)s}
files:
  - {path: /etc/own/deep/greeting, content: "hello %%{literal('x')}\\n", mode: "0640"}
checks:
  - test "$($PYTHON -c 'import tabulate; print(tabulate.__version__)')" = 0.9.0
  - systemctl is-active hive-server2 hadoop-namenode
  - grep hello /etc/own/deep/greeting && test -e "$JARS/own.jar"
"""


def write(folder: Path, parts: str) -> None:
    head = f"name: {NAME}\nparent: hadoop\ndescription: of a test\n"
    (folder / f"{NAME}.yaml").write_text(head + parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The layer's YAML, with a jar beside it."""
    with zipfile.ZipFile(tmp_path / "own.jar", "w") as jar:
        jar.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), "Manifest-Version: 1.0\n")
    write(tmp_path, PARTS % {"sha256": hashlib.sha256((tmp_path / "own.jar").read_bytes()).hexdigest()})
    return tmp_path


@pytest.fixture
def shell(cloud: Cloud, tmp_path: Path) -> Iterator[Any]:
    """Launch an instance of an image as a bake does, with a key pair; runs commands in it."""
    ec2 = cloud.client("ec2")
    key = tmp_path / "key"
    key.write_text(ec2.create_key_pair(KeyName=NAME, KeyType="ed25519")["KeyMaterial"])
    key.chmod(0o600)
    vpc = ec2.describe_vpcs()["Vpcs"][0]
    group = ec2.create_security_group(GroupName=NAME, Description="ssh", VpcId=vpc["VpcId"])["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp=vpc["CidrBlock"]
    )
    launched: list[str] = []

    def run(image: str, command: str) -> str:
        found = ec2.run_instances(
            ImageId=image,
            InstanceType="t3.large",
            MinCount=1,
            MaxCount=1,
            KeyName=NAME,
            SecurityGroupIds=[group],
            UserData=builder_user_data(NAME),
        )["Instances"][0]
        launched.append(found["InstanceId"])
        settings = [
            f"-o{one}" for one in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        ]
        words = ["ssh", "-i", str(key), *settings, "-oConnectTimeout=5", f"admin@{found['PrivateIpAddress']}", command]
        done = subprocess.CompletedProcess[str](words, 255, "", "")

        def answered() -> bool:
            nonlocal done
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            return done.returncode != 255

        wait_until("the key pair is let in", answered, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield run
    ec2.terminate_instances(InstanceIds=launched)
    wait_until("the instance ends", lambda: not living(ec2, launched))
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName=NAME)


def living(ec2: Any, ids: list[str]) -> list[str]:
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    nodes = [node for reservation in found for node in reservation["Instances"]]
    return [node["InstanceId"] for node in nodes if node["State"]["Name"] != "terminated"]


def test_a_layer_on_the_hadoop_image_is_baked_once_by_two_and_its_instances_have_it(
    hcluster: Hcluster, image: str, cloud: Cloud, folder: Path, shell: Any
) -> None:
    ec2 = cloud.client("ec2")
    words = ["ami", "bake", "--image", NAME, "--images", str(folder), "--output", "json"]
    bakes = [hcluster.start(*words) for _ in range(2)]
    ended = [(one.communicate(timeout=1200), one.returncode) for one in bakes]
    assert [code for _, code in ended] == [0, 0], ended
    told = [json.loads(out) for (out, _), _ in ended]
    assert sorted(one["baked"] for one in told) == [False, True]
    assert len({one["image"]["id"] for one in told}) == 1
    baked = told[0]["image"]["id"]
    try:
        assert hcluster.json(*words[:-2])["reason"] == "its inputs are unchanged"
        listed = next(one for one in hcluster.json("ami", "list") if one["id"] == baked)
        assert (listed["parent"], listed["parent_id"], listed["layers"]) == ("hadoop", image, ["hadoop", NAME])
        text = shell(
            baked,
            f"jq -r '.layers[].name' /etc/hcluster/image.json; sha256sum /opt/hcluster/jars/own.jar;"
            f"echo one two | /opt/hcluster/python/{NAME}/bin/tabulate; sudo cat /etc/own/deep/greeting;"
            "ls /var/cache/hcluster; ls /var/lib/hadoop /etc/hadoop 2>/dev/null; systemctl --failed --no-legend",
        )
        jar = hashlib.sha256((folder / "own.jar").read_bytes()).hexdigest()
        assert text.splitlines()[:2] == ["hadoop", NAME]
        assert f"{jar}  /opt/hcluster/jars/own.jar" in text
        assert "one  two" in text
        # The content as it was written, and the last of all: nothing of the bake is left, and no unit has failed.
        assert text.endswith("hello %{literal('x')}\n")
        failed(hcluster, folder)
    finally:
        ec2.deregister_image(ImageId=baked, DeleteAssociatedSnapshots=True)
    # Neither the two bakes nor the failed one left a machine.
    builders = [{"Name": f"tag:{names.TAG_ROLE}", "Values": ["bake"]}]
    found = ec2.describe_instances(Filters=builders)["Reservations"]
    assert {node["State"]["Name"] for one in found for node in one["Instances"]} <= {"terminated"}


def failed(hcluster: Hcluster, folder: Path) -> None:
    """What cannot be installed makes no image, and is named in apt's own words."""
    count = len(hcluster.json("ami", "list"))
    write(folder, "packages: [no-such-package-anywhere]\n")
    told = hcluster("ami", "bake", "--image", NAME, "--images", folder, code=1, timeout=600).stderr
    assert "puppet apply, role::layer" in told
    assert "no-such-package-anywhere" in told
    assert "[bake-failed]" in told
    assert len(hcluster.json("ami", "list")) == count
