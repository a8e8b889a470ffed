"""Machines that break: volumes, security groups, faults on purpose, and what a cloud on one machine must survive."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.aws.compute import AwsCompute
from hcluster.aws.session import AwsSession
from hcluster.cli.wire import SystemClock
from hcluster.errors import LocalCloudError
from hcluster.localcloud import cgroups, device_rules, leftovers
from hcluster.localcloud.device_rules import Allowed
from hcluster.localcloud.network import CloudNetwork, hardware_address
from hcluster.localcloud.settings import CloudSettings, derive
from hcluster.localcloud.system import run
from hcluster.localcloud.volumes import loop_devices
from tests.cluster.conftest import HCLUSTER, STATE, Cloud, wait_until

NAME = "test-faults"
SMALL = "t3.large"
BOOTS = 20
BOOTED_WITHIN = 90.0


def _local(verb: str, *options: str, code: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [HCLUSTER, "--output", "json", "local", verb, *options, "--name", NAME],
        env={**os.environ, "HCLUSTER_STATE": str(STATE)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else {}


@dataclass
class Nodes:
    """A cloud of nodes of the base image, and what happens in them."""

    cloud: Cloud
    settings: CloudSettings
    launched: list[str] = field(default_factory=list)

    @property
    def ec2(self) -> Any:
        """A client; made anew after the cloud was reset."""
        return self.cloud.client("ec2")

    @cached_property
    def base(self) -> str:
        """Id of the base image."""
        filters = [{"Name": "name", "Values": ["debian-12-amd64-*"]}]
        return str(self.ec2.describe_images(Filters=filters)["Images"][0]["ImageId"])

    def launch(self, count: int = 1, state: str = "running", **request: Any) -> list[str]:
        """Ids of new instances, once they are in a state ("": at once)."""
        wanted = {"ImageId": self.base, "InstanceType": SMALL, "Placement": {"AvailabilityZone": "us-east-1a"}}
        made = self.ec2.run_instances(MinCount=count, MaxCount=count, **(wanted | request))["Instances"]
        ids = [str(one["InstanceId"]) for one in made]
        self.launched += ids
        if state:
            self.wait(ids, state)
        return ids

    def shown(self, instance: str) -> dict[str, Any]:
        """One instance as it is described."""
        return dict(self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0])

    def wait(self, ids: list[str], state: str, timeout: float = 60) -> None:
        """Until all are in a state."""

        def there() -> bool:
            found = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
            states = {one["State"]["Name"] for part in found for one in part["Instances"]}
            assert state == "terminated" or "terminated" not in states, found
            return states == {state}

        wait_until(f"{ids} {state}", there, timeout=timeout)

    def end(self, *ids: str) -> None:
        """Terminate instances and wait for it."""
        self.ec2.terminate_instances(InstanceIds=list(ids))
        self.wait(list(ids), "terminated")

    def inside(self, instance: str, script: str, code: int = 0) -> str:
        """Run a shell script in a node as root; what it printed."""
        command = ["runc", "--root", str(self.settings.runtime / "runc"), "exec", instance, "bash", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, f"{script}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def booted_since(self, instance: str, mark: str) -> bool:
        """Whether a node is up whose systemd started at another time than ``mark`` says."""
        command = ["runc", "--root", str(self.settings.runtime / "runc"), "exec", instance]
        shown = ["systemctl", "show", "--property=UserspaceTimestampMonotonic"]
        done = subprocess.run([*command, *shown], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode == 0 and done.stdout.strip() != mark

    def listen(self, instance: str, *ports: int) -> None:
        """Let something listen on ports of a node."""
        for port in ports:
            self.inside(instance, f"setsid python3 -m http.server {port} >/dev/null 2>&1 </dev/null &")
            self.inside(instance, f"until (</dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done")

    def reaches(self, instance: str, address: str, port: int) -> bool:
        """Whether a connection from a node comes about within a second."""
        script = f"timeout 1 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
        return self.inside(instance, script) == "yes"

    def volume(self, volume: str) -> dict[str, Any]:
        """One volume as it is described."""
        return dict(self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0])

    def free(self, volume: str) -> None:
        """Wait until a volume is available."""
        wait_until(f"{volume} is free", lambda: self.volume(volume)["State"] == "available", timeout=20)

    def attach(self, volume: str, instance: str, device: str = "/dev/sdf") -> None:
        """Attach a volume and wait for it."""
        self.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)

        def attached() -> bool:
            return [one["State"] for one in self.volume(volume)["Attachments"]] == ["attached"]

        wait_until(f"{volume} is attached", attached, timeout=20)

    def loops(self) -> int:
        """How many loop devices the cloud has."""
        return len(loop_devices(self.settings.folder / "volumes"))


def _link(volume: str) -> str:
    return "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_" + volume.replace("-", "")


def _from_here(address: str, port: int) -> bool:
    command = ["timeout", "1", "bash", "-c", f"</dev/tcp/{address}/{port}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cloud of its own, started twice at once; removed at the end, with all that it had."""
    settings = derive(NAME, STATE)
    if settings.folder.exists():
        _local("reset", "--yes")
    with ThreadPoolExecutor(2) as both:
        started = list(both.map(lambda _: _local("start"), range(2)))
    assert started[0]["pid"] == started[1]["pid"], "two starts at once make one cloud"
    settings = derive(NAME, STATE)
    yield Nodes(Cloud(NAME, settings.folder), settings)
    _local("reset", "--yes")
    assert leftovers.find(settings) == []


def test_volumes_outlive_their_instance_and_a_killed_daemon(nodes: Nodes) -> None:
    mappings = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 1}},
    ]
    (first,) = nodes.launch(BlockDeviceMappings=mappings)
    mapped = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in nodes.shown(first)["BlockDeviceMappings"]}
    kept, gone = mapped["/dev/sdf"], mapped["/dev/sdg"]
    assert nodes.loops() == 2
    nodes.inside(first, f"mkfs.ext4 -q {_link(kept)} && mount {_link(kept)} /mnt && echo kept > /mnt/file && sync")
    assert nodes.inside(first, f"readlink -f {_link(kept)}") == "/dev/nvme1n1"
    nodes.ec2.stop_instances(InstanceIds=[first])
    nodes.wait([first], "stopped")
    assert nodes.loops() == 0
    nodes.ec2.start_instances(InstanceIds=[first])
    nodes.wait([first], "running")
    assert nodes.inside(first, "mount /dev/nvme1n1 /mnt && cat /mnt/file") == "kept"
    nodes.inside(first, "echo more >> /mnt/file && sync")
    os.kill(_local("status")["pid"], signal.SIGKILL)
    wait_until("the daemon is gone", lambda: _local("status")["state"] == "crashed")
    assert any("loop device" in line for line in leftovers.find(nodes.settings))
    _local("start")
    nodes.wait([first], "running")
    assert nodes.loops() == 2
    assert nodes.inside(first, "mount /dev/nvme1n1 /mnt && cat /mnt/file") == "kept\nmore"
    nodes.end(first)
    nodes.free(kept)
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        nodes.volume(gone)
    wait_until("the other's file is gone", lambda: len(list((nodes.settings.folder / "volumes").iterdir())) == 1)
    assert nodes.loops() == 0

    _next_instance(nodes, kept)


def _next_instance(nodes: Nodes, kept: str) -> None:
    """What the volume of an ended instance is good for."""
    (second,) = nodes.launch()
    nodes.attach(kept, second)
    boot = nodes.inside(second, "systemctl show --property=UserspaceTimestampMonotonic")
    nodes.inside(second, "systemctl reboot")
    wait_until("it was rebooted from inside", lambda: nodes.booted_since(second, boot), timeout=30)
    assert nodes.inside(second, f"mount {_link(kept)} /mnt && cat /mnt/file") == "kept\nmore"
    nodes.ec2.detach_volume(VolumeId=kept)
    wait_until("it is busy", lambda: nodes.volume(kept)["Attachments"][0]["State"] == "busy", timeout=20)
    nodes.inside(second, "umount /mnt")
    nodes.free(kept)
    assert nodes.inside(second, "ls /dev/nvme* /dev/disk/by-id 2>/dev/null || true") == "/dev/disk/by-id:"
    assert nodes.loops() == 0
    snapshot = nodes.ec2.create_snapshot(VolumeId=kept)["SnapshotId"]
    nodes.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    copy = nodes.ec2.create_volume(AvailabilityZone="us-east-1a", SnapshotId=snapshot, Size=2)["VolumeId"]
    nodes.free(copy)
    nodes.attach(copy, second)
    mounted = f"e2fsck -fp {_link(copy)} >/dev/null; mount {_link(copy)} /mnt && cat /mnt/file; umount /mnt"
    assert nodes.inside(second, mounted) == "kept\nmore"
    assert nodes.inside(second, f"blockdev --getsize64 {_link(copy)}") == str(2 << 30)
    nodes.end(second)
    for volume in (kept, copy):
        nodes.ec2.delete_volume(VolumeId=volume)
    nodes.ec2.delete_snapshot(SnapshotId=snapshot)
    wait_until("all files are gone", lambda: not list((nodes.settings.folder / "volumes").iterdir()))


def test_a_node_opens_no_volume_but_its_own(nodes: Nodes) -> None:
    mapping = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    owner, stranger = nodes.launch(1, BlockDeviceMappings=mapping)[0], nodes.launch(1)[0]
    (device,) = loop_devices(nodes.settings.folder / "volumes").values()
    steal = f"mknod /tmp/stolen b {device.major} {device.minor}; head -c 1 /tmp/stolen | wc -c"
    assert nodes.inside(owner, steal) == "1"
    assert nodes.inside(stranger, f"{steal} 2>/dev/null") == "0"
    nodes.end(owner, stranger)


def test_a_node_speaks_as_nobody_but_itself(nodes: Nodes) -> None:
    owner, thief = nodes.launch(1)[0], nodes.launch(1)[0]
    address = str(nodes.shown(owner)["PrivateIpAddress"])
    ask = "curl -s -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
    assert nodes.inside(thief, ask)
    steal = f"ip addr flush dev eth0; ip link set eth0 address {hardware_address(address)}"
    nodes.inside(thief, f"{steal}; ip addr add {address}/16 dev eth0; ip route add 169.254.169.254 dev eth0")
    assert nodes.inside(thief, f"{ask} || true") == ""
    assert nodes.inside(owner, ask)
    nodes.end(owner, thief)


def test_the_devices_of_a_group_can_change_with_control_groups_version_2() -> None:
    root = cgroups.ROOT if cgroups.unified() else cgroups.ROOT / "unified"
    if not (root / "cgroup.procs").exists():
        pytest.skip("this machine has no control groups version 2")
    group = root / "hcl-test-devices"
    group.mkdir()
    try:
        null, zero = Allowed("c", 1, 3), Allowed("c", 1, 5)

        def opens(device: str) -> bool:
            script = f"echo $$ > {group}/cgroup.procs; head -c 1 {device}"
            return len(subprocess.run(["sh", "-c", script], capture_output=True, check=False).stdout) == 1

        device_rules.enforce(group, [null])
        assert not opens("/dev/zero")
        device_rules.enforce(group, [null, zero])
        assert opens("/dev/zero")
        device_rules.enforce(group, [null])
        assert not opens("/dev/zero")
    finally:
        group.rmdir()


def _product_groups(nodes: Nodes) -> dict[str, str]:
    """Two teams' groups and the platform's, with the rules that hcluster gives them."""
    compute = AwsCompute(AwsSession(f"hcluster-{NAME}", nodes.cloud.aws, "us-east-1"), SystemClock())
    vpc, cidrs, _ = compute.default_network() or ("", (), ())
    tags = {"hcluster:platform": "test-faults"}

    def group(name: str, allow_from: dict[str, int]) -> str:
        return compute.ensure_security_group(name, vpc=vpc, allow_from=allow_from, allow_cidrs=cidrs, tags=tags)

    teams = {name: group(name, {}) for name in ("analytics", "science")}
    return teams | {"platform": group("platform", dict.fromkeys(teams.values(), 9083))}


def test_security_groups_are_enforced_between_nodes(nodes: Nodes) -> None:
    groups = _product_groups(nodes)
    ids = {name: nodes.launch(1, "", SecurityGroupIds=[group])[0] for name, group in groups.items()}
    mate = nodes.launch(1, "", SecurityGroupIds=[groups["analytics"]])[0]
    every = [*ids.values(), mate]
    nodes.wait(every, "running")
    address = {one: str(nodes.shown(one)["PrivateIpAddress"]) for one in every}
    analytics, science, platform = (ids[name] for name in ("analytics", "science", "platform"))
    nodes.listen(platform, 9083, 3306)
    nodes.listen(mate, 8020)
    assert nodes.reaches(analytics, address[mate], 8020), "members reach each other"
    assert nodes.reaches(analytics, address[platform], 9083), "teams reach the metastore"
    assert nodes.reaches(science, address[platform], 9083)
    assert not nodes.reaches(analytics, address[platform], 3306), "and nothing else of the platform"
    assert not nodes.reaches(science, address[mate], 8020), "teams do not reach each other"
    assert not nodes.reaches(platform, address[mate], 8020)
    assert nodes.reaches(analytics, address[science], 22), "SSH is open to the network"
    assert _from_here(address[science], 22), "so it is to the machine that hcluster runs on"
    assert not _from_here(address[platform], 9083)
    named = f"getent hosts ip-{address[mate].replace('.', '-')}.ec2.internal"
    assert address[mate] in nodes.inside(analytics, named), "names resolve"

    opened = [
        {"IpProtocol": "tcp", "FromPort": 8020, "ToPort": 8020, "UserIdGroupPairs": [{"GroupId": groups["science"]}]}
    ]
    nodes.ec2.authorize_security_group_ingress(GroupId=groups["analytics"], IpPermissions=opened)
    wait_until("the rule counts", lambda: nodes.reaches(science, address[mate], 8020), timeout=5)
    nodes.ec2.revoke_security_group_ingress(GroupId=groups["analytics"], IpPermissions=opened)
    wait_until("the rule is gone", lambda: not nodes.reaches(science, address[mate], 8020), timeout=5)

    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    nodes.ec2.revoke_security_group_egress(GroupId=groups["science"], IpPermissions=everything)
    wait_until("nothing goes out", lambda: not nodes.reaches(science, address[platform], 9083), timeout=5)
    token = "curl -s -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
    assert nodes.inside(science, token), "the metadata service is always there"
    assert nodes.inside(science, named)

    _frozen_and_partitioned(nodes, analytics, mate, address)
    nodes.end(*every)


def _frozen_and_partitioned(nodes: Nodes, node: str, mate: str, address: dict[str, str]) -> None:
    """On the nodes of the test before: it costs no boots of its own."""
    frozen = cgroups.group(f"{nodes.settings.cgroup}/{mate}", "freezer")
    _local("freeze", mate)
    assert cgroups.frozen(f"{nodes.settings.cgroup}/{mate}"), frozen
    read = f"exec 3<>/dev/tcp/{address[mate]}/22; timeout 1 head -c 4 <&3; true"
    assert nodes.inside(node, read) == "", "the kernel accepts, nobody answers"
    _local("undo", "--all")
    assert nodes.inside(node, read) == "SSH-"
    _local("partition", mate)
    assert not nodes.reaches(node, address[mate], 8020)
    assert not nodes.reaches(mate, address[node], 22)
    assert not nodes.reaches(mate, "169.254.169.254", 80)
    _local("undo", "--all")
    assert nodes.reaches(node, address[mate], 8020)
    _local("freeze", mate)
    begun = time.monotonic()
    nodes.end(mate)
    assert time.monotonic() - begun < 20, "a frozen node ends, too"


def test_twenty_boots_at_once_all_succeed(nodes: Nodes) -> None:
    begun = time.monotonic()
    ids = nodes.launch(BOOTS, "")
    nodes.wait(ids, "running", timeout=BOOTED_WITHIN)
    assert time.monotonic() - begun < BOOTED_WITHIN
    assert all(nodes.inside(one, "systemctl is-active ssh") == "active" for one in (ids[0], ids[-1]))
    nodes.end(*ids)


def test_images_that_cannot_be_made_or_started_say_why(nodes: Nodes) -> None:
    (source,) = nodes.launch()

    def image(name: str, state: str) -> dict[str, Any]:
        made = nodes.ec2.create_image(InstanceId=source, Name=name, NoReboot=True)["ImageId"]

        def shown() -> dict[str, Any]:
            return dict(nodes.ec2.describe_images(ImageIds=[made])["Images"][0])

        wait_until(f"{name} {state}", lambda: shown()["State"] == state, timeout=30)
        return shown()

    # The disk is full in the middle.
    layers = nodes.settings.folder / "layers"
    before = sorted(path.name for path in layers.iterdir())
    nodes.inside(source, "head -c 30M /dev/urandom > /root/large")
    with _small_disk(layers):
        failed = image("full", "failed")
        assert "No space left on device" in failed["StateReason"]["Message"]
        assert sorted(path.name for path in layers.iterdir()) == before, "nothing is left of it"
    nodes.inside(source, "rm /root/large")

    # A layer is missing on disk.
    whole = image("whole", "available")["ImageId"]
    shutil.rmtree(layers / whole / "root")
    (lost,) = nodes.launch(1, "terminated", ImageId=whole)
    reason = nodes.shown(lost)["StateReason"]
    assert reason["Code"] == "Server.InternalError"
    assert f"the layer of the image {whole} is missing on disk" in reason["Message"]
    assert "hcluster ami bake --force" in nodes.settings.log.read_text()

    # PID 1 crashes at each start.
    script = "#!/bin/sh\\necho about to crash\\nexit 1\\n"
    nodes.inside(source, f"rm /sbin/init && printf '{script}' > /sbin/init && chmod +x /sbin/init")
    crashing = image("crashing", "available")["ImageId"]
    (crashed,) = nodes.launch(1, "terminated", ImageId=crashing)
    reason = nodes.shown(crashed)["StateReason"]
    assert reason["Code"] == "Server.InternalError"
    assert "ended while it booted" in reason["Message"]

    # An instance that ran before is stopped by such a start, and keeps what it has.
    nodes.ec2.reboot_instances(InstanceIds=[source])
    nodes.wait([source], "stopped")
    assert nodes.shown(source)["StateReason"]["Code"] == "Server.InternalError"
    init = nodes.settings.folder / "instances" / source / "upper/usr/sbin/init"
    assert "crash" in init.read_text()
    for made in (whole, crashing, failed["ImageId"]):
        nodes.ec2.deregister_image(ImageId=made)
    nodes.end(source)
    wait_until("the layers are gone", lambda: sorted(path.name for path in layers.iterdir()) == before, timeout=10)


class _small_disk:  # noqa: N801 - used like a function
    """Another, small disk in the place of a folder, with the same in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        aside = self._folder.with_name("aside")
        shutil.copytree(self._folder, aside)
        run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(self._folder)])
        shutil.copytree(aside, self._folder, dirs_exist_ok=True)
        shutil.rmtree(aside)

    def __exit__(self, *_: object) -> None:
        run(["umount", str(self._folder)])


def test_a_port_that_is_taken_is_told(nodes: Nodes) -> None:
    with pytest.raises(LocalCloudError, match=f"cannot listen on {nodes.settings.gateway}:4566 .*in use"):
        CloudNetwork(nodes.settings).listen(nodes.settings.gateway, nodes.settings.api_port)


def test_after_a_reboot_of_the_machine_everything_comes_back(nodes: Nodes) -> None:
    mapping = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    running, stopped = nodes.launch(1, BlockDeviceMappings=mapping)[0], nodes.launch(1)[0]
    nodes.inside(running, "mkfs.ext4 -q /dev/nvme1n1 && mount /dev/nvme1n1 /mnt && echo kept > /mnt/file")
    nodes.inside(running, "echo kept > /root/file; sync")
    image = nodes.ec2.create_image(InstanceId=running, Name="before", NoReboot=True)["ImageId"]
    nodes.ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1})
    nodes.ec2.stop_instances(InstanceIds=[stopped])
    nodes.wait([stopped], "stopped")

    # As after a reboot: no process, mount, namespace, link or device, and an empty /run; the state folder as it was.
    os.kill(_local("status")["pid"], signal.SIGKILL)
    wait_until("the daemon is gone", lambda: _local("status")["state"] == "crashed")
    leftovers.clean(nodes.settings)
    assert leftovers.find(nodes.settings) == []
    assert _local("status")["state"] == "stopped"
    _local("start")
    nodes.wait([running], "running")
    assert nodes.shown(stopped)["State"]["Name"] == "stopped"
    assert nodes.inside(running, "mount /dev/nvme1n1 /mnt && cat /mnt/file /root/file") == "kept\nkept"
    nodes.ec2.start_instances(InstanceIds=[stopped])
    (other,) = nodes.launch(1, "", ImageId=image)
    nodes.wait([stopped, other], "running")
    assert nodes.inside(other, "cat /root/file") == "kept"
    nodes.end(running, stopped, other)
    assert nodes.loops() == 0
