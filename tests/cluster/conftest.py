"""Real nodes: one local cloud for the whole run, its images cached by the hash of their inputs.

``HCLUSTER_TEST_CLOUD`` names the cloud (``test``); it is started when it does not run, and stopped at the end unless it
ran before. ``HCLUSTER_STATE`` is where it is kept.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from hcluster.aws.session import AwsSession
from hcluster.model import names
from tests.unit.cli_output import demand

ROOT = Path(__file__).resolve().parent.parent.parent
HCLUSTER = Path(sys.executable).parent / "hcluster"
STATE = Path(os.environ.get("HCLUSTER_STATE", ROOT / ".state")).resolve()
CLOUD = os.environ.get("HCLUSTER_TEST_CLOUD", "test")
BUCKET = "hcluster-test"
TEAMS = ("analytics", "science")
SMALL = {"core": {"types": ["m5.large"], "market": "spot", "count": 1}}
"""Of a spec: one worker."""

INVENTORY = {
    "instances": ("describe_instances", "Reservations"),
    "interfaces": ("describe_network_interfaces", "NetworkInterfaces"),
    "templates": ("describe_launch_templates", "LaunchTemplates"),
    "groups": ("describe_security_groups", "SecurityGroups"),
    "volumes": ("describe_volumes", "Volumes"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.cluster)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a failure where fixtures can see it."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@dataclass
class Hcluster:
    """Runs the command as a user would, as a process of its own."""

    platform: Path
    team: str = "analytics"
    user: str = "tester"
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self, team: str = "") -> dict[str, str]:
        """The environment that the command runs in."""
        return {
            **os.environ,
            "HCLUSTER_STATE": str(STATE),
            "HCLUSTER_PLATFORM": str(self.platform),
            "HCLUSTER_TEAM": team or self.team,
            "HCLUSTER_USER": self.user,
            **self.environment,
        }

    def __call__(
        self, *words: str | Path, team: str = "", code: int = 0, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; the exit code must be ``code``."""
        done = subprocess.run(
            [str(HCLUSTER), *map(str, words)],
            env=self.variables(team),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        shown = f"hcluster {' '.join(map(str, words))}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        assert done.returncode == code, f"exit code {done.returncode}, not {code}: {shown}"
        assert "Traceback" not in done.stderr, shown
        return done

    def json(self, *words: str | Path, team: str = "") -> Any:
        """Run with ``--output json``; what it printed, which must be of the form that is documented for it."""
        return demand([str(word) for word in words], self("--output", "json", *words, team=team).stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin to run, beside others; what it prints is in its pipes."""
        return subprocess.Popen(
            [str(HCLUSTER), *words],
            env=self.variables(""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(self, typed: str, *words: str | Path, timeout: float = 60) -> str:
        """Run on a terminal of its own, type something; what the screen showed until the command ended."""
        process, screen = pty.fork()
        if process == 0:
            arguments = [str(HCLUSTER), *map(str, words)]
            os.execve(HCLUSTER, arguments, self.variables(""))  # noqa: S606 - the forked half becomes the command
        watchdog = threading.Timer(timeout, os.kill, (process, signal.SIGKILL))
        watchdog.start()
        shown = b""
        with os.fdopen(screen, "r+b", buffering=0) as stream:
            sent = False
            while True:
                try:
                    read = stream.read(4096)
                except OSError:
                    # Linux says so when the last process on the other side is gone.
                    break
                shown += read
                if not sent and shown.rstrip().endswith((b"$", b"#")):
                    stream.write(typed.encode())
                    sent = True
        os.waitpid(process, 0)
        watchdog.cancel()
        return shown.decode(errors="replace")

    def until(self, text: str, *words: str | Path, sent: signal.Signals, timeout: float = 300) -> tuple[int, str]:
        """Run until a line of its progress holds ``text``, send a signal; (exit code, stderr)."""
        process = subprocess.Popen(
            [str(HCLUSTER), *map(str, words)],
            env=self.variables(""),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        watchdog = threading.Timer(timeout, process.kill)
        watchdog.start()
        lines: list[str] = []
        assert process.stderr is not None
        with process.stderr as stream:
            for line in stream:
                lines.append(line)
                if text in line and process.poll() is None:
                    process.send_signal(sent)
                    text = "\0"
        code = process.wait()
        watchdog.cancel()
        assert text == "\0", f"never said {text!r}:\n{''.join(lines)}"
        return code, "".join(lines)


@dataclass(frozen=True)
class Cloud:
    """The running local cloud, with clients of its administrator."""

    name: str
    folder: Path

    @property
    def aws(self) -> Path:
        """Folder of the profile that it wrote."""
        return self.folder / "aws"

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return AwsSession(f"hcluster-{self.name}", self.aws, "us-east-1").client(service)

    def clusters(self) -> set[tuple[str, str]]:
        """(name, team) of all clusters that have nodes."""
        pages = (
            self.client("ec2")
            .get_paginator("describe_instances")
            .paginate(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}])
        )
        tags = [
            {tag["Key"]: tag["Value"] for tag in node.get("Tags", [])}
            for page in pages
            for reservation in page["Reservations"]
            for node in reservation["Instances"]
        ]
        return {
            (tag[names.TAG_CLUSTER], tag[names.TAG_TEAM])
            for tag in tags
            if tag.get(names.TAG_CLUSTER, names.PLATFORM_CLUSTER) != names.PLATFORM_CLUSTER
        }

    def inventory(self) -> dict[str, list[str]]:
        """Ids of everything that costs money or blocks a name, sorted."""
        client = self.client("ec2")
        found: dict[str, list[str]] = {}
        for what, (call, key) in INVENTORY.items():
            pages = client.get_paginator(call).paginate()
            items = [item for page in pages for item in page[key]]
            if what == "instances":
                nodes = [node for reservation in items for node in reservation["Instances"]]
                items = [node for node in nodes if node["State"]["Name"] != "terminated"]
            ids = ("InstanceId", "NetworkInterfaceId", "LaunchTemplateId", "GroupId", "VolumeId")
            found[what] = sorted(next(str(item[name]) for name in ids if name in item) for item in items)
        return found


@pytest.fixture(autouse=True)
def _failures_stay_single(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a failed test started goes, so that the tests after it find what they expect."""
    if not {"cloud", "hcluster"} <= set(request.fixturenames):
        yield
        return
    cloud, hcluster = request.getfixturevalue("cloud"), request.getfixturevalue("hcluster")
    before = cloud.clusters()
    yield
    if request.node.stash.get(FAILED, False):
        for name, team in sorted(cloud.clusters() - before):
            hcluster("down", name, "--yes", team=team)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """A running local cloud."""
    plain = {**os.environ, "HCLUSTER_STATE": str(STATE)}
    folder = STATE / "local" / CLOUD
    status = subprocess.run(
        [HCLUSTER, "--output", "json", "local", "status", "--name", CLOUD],
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    ran_before = status.returncode == 0 and json.loads(status.stdout).get("running") is True
    subprocess.run([HCLUSTER, "local", "start", "--name", CLOUD], env=plain, check=True, timeout=600)
    yield Cloud(CLOUD, folder)
    if not ran_before:
        subprocess.run([HCLUSTER, "local", "stop", "--name", CLOUD], env=plain, check=True, timeout=180)


def platform_text(cloud: Cloud, name: str = "test", bucket: str = BUCKET) -> str:
    """A platform.yaml for this cloud."""
    return yaml.safe_dump(
        {
            "name": name,
            "aws": {"profile": f"hcluster-{cloud.name}", "directory": str(cloud.aws)},
            "region": "us-east-1",
            "bucket": bucket,
            "teams": list(TEAMS),
            "network": {"package_proxy": "{endpoint}:3128"},
        }
    )


@pytest.fixture(scope="session")
def hcluster(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Hcluster:
    """The command, for a platform on this cloud that may not exist yet."""
    file = tmp_path_factory.mktemp("platform") / "platform.yaml"
    file.write_text(platform_text(cloud))
    return Hcluster(file)


@pytest.fixture(scope="session")
def image(hcluster: Hcluster) -> str:
    """The image's id; baked when the cloud has none of these inputs."""
    hcluster("ami", "bake", timeout=1200)
    return next(str(one["id"]) for one in hcluster.json("ami", "list") if one["family"] == "hadoop")


@pytest.fixture(scope="session")
def platform(hcluster: Hcluster, image: str, cloud: Cloud) -> Iterator[dict[str, Any]]:
    """A platform that is up; it goes, with its data, at the end."""
    assert image
    hcluster("puppet", "publish")
    hcluster("platform", "up")
    yield hcluster.json("platform", "status")
    for running in hcluster.json("list"):
        hcluster("down", running["name"], "--yes", team=running["team"])
    hcluster("platform", "down", "--delete-data", "--yes")
    left = cloud.inventory()
    assert not left["instances"]
    assert not left["templates"]
    assert not left["volumes"]
    assert not left["interfaces"]


def spec(folder: Path, name: str, **fields: Any) -> Path:
    """A cluster.yaml; by default one master and two spot workers of team analytics."""
    file = folder / f"{name}.yaml"
    wanted = {"name": name, "team": "analytics", "core": {"types": ["m5.large"], "market": "spot", "count": 2}}
    file.write_text(yaml.safe_dump(wanted | fields))
    return file


def wait_until(what: str, condition: Any, timeout: float = 30) -> None:
    """Poll a condition; fails with ``what`` when it does not hold in time."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)
