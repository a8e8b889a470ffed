"""How fast the local cloud's API answers, beside plain moto in the same run, with the same requests.

``python -m benchmarks.api_figures`` prints the figures as JSON. Each server is a process of its own on loopback. The
cloud's nodes are dry (no process behind an instance), and its records are on disk before each answer; moto keeps its
own in memory. ``raw`` is the answer's last byte over HTTP; ``boto3`` has its parsing in it, which is the client's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
from botocore.config import Config

REGION = "us-east-1"
RECORDED = 5000
BATCH = 1000
TAGGED = 20
"""Instances that the tag finds among all."""
_ROUNDS = 9


def serve_cloud(folder: Path) -> None:
    """Serve a dry cloud on loopback until stdin closes; says in one line of JSON how to reach it."""
    import socket

    from hcluster.localcloud.api.server import ApiServer, spare_collector
    from hcluster.localcloud.dry import IMAGE_ID, IMAGE_NAME, DryMachines
    from hcluster.localcloud.settings import settings_on

    server = ApiServer(settings_on("figures", folder, IPv4Network("10.64.0.0/16")), DryMachines())
    server.load()
    server.register_base_image(IMAGE_ID, IMAGE_NAME)
    keys = server.admin_keys()
    api, imds = (socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2))
    server.serve(api, imds)
    spare_collector()
    server.resume()
    _say(api.getsockname()[1], keys, IMAGE_ID)
    server.shutdown()


def serve_moto(folder: Path) -> None:
    """The same of plain moto."""
    from moto.server import ThreadedMotoServer

    del folder
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    _say(port, ("testing", "testing"), "ami-12c6146b")
    server.stop()


def _say(port: int, keys: tuple[str, str], image: str) -> None:
    sys.stdout.write(json.dumps({"port": port, "keys": keys, "image": image}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


class Served:
    """A server, as a client sees it."""

    def __init__(self, pid: int, said: dict[str, Any]) -> None:
        self.pid = pid
        self.image = str(said["image"])
        self.keys: tuple[str, str] = (said["keys"][0], said["keys"][1])
        self._port = int(said["port"])
        self.url = f"http://127.0.0.1:{self._port}"
        self.ec2: Any = boto3.client(
            "ec2",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.keys[0],
            aws_secret_access_key=self.keys[1],
            config=Config(retries={"max_attempts": 0}, read_timeout=300),
        )

    def raw(self, parameters: str) -> float:
        """Seconds from the request to the last byte of its answer."""
        body = f"{parameters}&Version=2016-11-15"
        url = f"http://127.0.0.1:{self._port}/"
        kind = "application/x-www-form-urlencoded; charset=utf-8"
        request = botocore.awsrequest.AWSRequest("POST", url, data=body, headers={"Content-Type": kind})
        credentials = botocore.credentials.Credentials(*self.keys)
        botocore.auth.SigV4Auth(credentials, "ec2", REGION).add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        try:
            begun = time.perf_counter()
            connection.request("POST", "/", body, dict(request.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            took = time.perf_counter() - begun
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(content.decode())
        return took

    def rss_mib(self) -> float:
        """Memory that the server holds."""
        return _status(self.pid, "VmRSS") / 1024

    def cpu_seconds(self) -> float:
        """Processor time that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@contextmanager
def served(kind: str, folder: Path) -> Iterator[Served]:
    """A server of ``kind`` ("cloud", "moto") in a process of its own; ``folder`` holds its records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api_figures", "serve", kind, str(folder)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Moto tells each request there.
        stderr=subprocess.DEVNULL if kind == "moto" else None,
        text=True,
        env=os.environ | {"MOTO_EC2_LOAD_DEFAULT_AMIS": "true"},
    )
    told, said = process.stdin, process.stdout
    if told is None or said is None:
        raise RuntimeError("the server has no pipes")
    try:
        line = said.readline()
        if not line:
            raise RuntimeError(f"the {kind} server did not start")
        yield Served(process.pid, json.loads(line))
    finally:
        told.close()
        process.wait(60)


def _timed(action: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def launch(server: Served, count: int, subnet: str, **more: Any) -> Any:
    """RunInstances of ``count`` with two tags."""
    tags = [{"Key": "hcluster:cluster", "Value": "load"}, {"Key": "Name", "Value": "load-core"}]
    return server.ec2.run_instances(
        ImageId=server.image,
        InstanceType="t3.micro",
        MinCount=count,
        MaxCount=count,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        **more,
    )


def _run(server: Served, count: int, subnet: str) -> str:
    tag = "TagSpecification.1"
    return (
        f"Action=RunInstances&ImageId={server.image}&InstanceType=t3.micro&MinCount={count}&MaxCount={count}"
        f"&SubnetId={subnet}&{tag}.ResourceType=instance&{tag}.Tag.1.Key=hcluster%3Acluster&{tag}.Tag.1.Value=load"
        f"&{tag}.Tag.2.Key=Name&{tag}.Tag.2.Value=load-core"
    )


def _all_in(server: Served, states: set[str]) -> None:
    end = time.monotonic() + 120
    paginator = server.ec2.get_paginator("describe_instances")
    while time.monotonic() < end:
        pages = paginator.paginate(PaginationConfig={"PageSize": 1000})
        found = {i["State"]["Name"] for page in pages for r in page["Reservations"] for i in r["Instances"]}
        if found <= states:
            return
        time.sleep(0.5)
    raise RuntimeError(f"not all instances became {states}")


def _fleet(server: Served, subnet: str) -> float:
    data = {"ImageId": server.image, "InstanceType": "t3.micro"}
    server.ec2.create_launch_template(LaunchTemplateName="figures", LaunchTemplateData=data)
    specification = {"LaunchTemplateName": "figures", "Version": "$Default"}
    config = {"LaunchTemplateSpecification": specification, "Overrides": [{"SubnetId": subnet}]}
    target = {"TotalTargetCapacity": BATCH, "DefaultTargetCapacityType": "on-demand"}
    return _timed(
        lambda: server.ec2.create_fleet(
            Type="instant", LaunchTemplateConfigs=[config], TargetCapacitySpecification=target
        )
    )


def figures(kind: str, recorded: int = RECORDED) -> dict[str, Any]:
    """What one server takes, seconds and MiB, with ``recorded`` instances."""
    found: dict[str, Any] = {"recorded": recorded}
    with tempfile.TemporaryDirectory(prefix="figures-") as folder, served(kind, Path(folder)) as server:
        subnets = [s["SubnetId"] for s in server.ec2.describe_subnets()["Subnets"]]
        found["rss_empty_mib"] = round(server.rss_mib(), 1)
        runs: list[float] = []
        cpu: list[float] = []
        tagged = launch(server, TAGGED, subnets[0])["Instances"]
        ids = [instance["InstanceId"] for instance in tagged]
        server.ec2.create_tags(Resources=ids, Tags=[{"Key": "group", "Value": "few"}])
        for number in range(0, recorded - TAGGED, BATCH):
            count = min(BATCH, recorded - TAGGED - number)
            used = server.cpu_seconds()
            runs.append(server.raw(_run(server, count, subnets[number // BATCH % len(subnets)])))
            cpu.append(server.cpu_seconds() - used)
        last = -2 if len(runs) > 1 else -1
        found["run_instances_1000_raw"] = {"first": runs[0], "last": runs[last]}
        found["run_instances_1000_cpu"] = {"first": cpu[0], "last": cpu[last]}
        _all_in(server, {"running"})
        few = "Action=DescribeInstances&Filter.1.Name=tag%3Agroup&Filter.1.Value.1=few"
        many = "Action=DescribeInstances&Filter.1.Name=tag%3AName&Filter.1.Value.1=load-core&MaxResults=1000"
        rounds = _ROUNDS if kind == "cloud" else 1
        for name, parameters in (("few", few), ("page_of_1000", many)):
            found[f"describe_{name}_raw"] = statistics.median(server.raw(parameters) for _ in range(rounds))
        by_few = {"Filters": [{"Name": "tag:group", "Values": ["few"]}]}
        by_many = {"Filters": [{"Name": "tag:Name", "Values": ["load-core"]}], "MaxResults": 1000}
        for name, request in (("few", by_few), ("page_of_1000", by_many)):
            times = [_timed(lambda r=request: server.ec2.describe_instances(**r)) for _ in range(rounds)]
            found[f"describe_{name}_boto3"] = statistics.median(times)
        if kind == "cloud":
            server.ec2.create_tags(Resources=ids[:1], Tags=[{"Key": "changed", "Value": "1"}])
            found["describe_page_after_a_change_raw"] = server.raw(many)
            found["describe_tags_raw"] = server.raw("Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=group")
            found["describe_status_raw"] = server.raw("Action=DescribeInstanceStatus&MaxResults=1000")
            found["create_fleet_1000"] = _fleet(server, subnets[-1])
        doomed = launch(server, BATCH, subnets[-1])["Instances"]
        gone = [instance["InstanceId"] for instance in doomed]
        found["terminate_1000"] = _timed(lambda: server.ec2.terminate_instances(InstanceIds=gone))
        found["rss_full_mib"] = round(server.rss_mib(), 1)
    return found


def idle(seconds: float = 60.0, recorded: int = 20) -> dict[str, float]:
    """Memory (MiB) and share of a core of a cloud that has ``recorded`` dry instances and nothing to do."""
    with tempfile.TemporaryDirectory(prefix="figures-") as folder, served("cloud", Path(folder)) as server:
        launch(server, recorded, server.ec2.describe_subnets()["Subnets"][0]["SubnetId"])
        _all_in(server, {"running"})
        time.sleep(3)
        used = server.cpu_seconds()
        time.sleep(seconds)
        used = server.cpu_seconds() - used
        return {"rss_mib": round(server.rss_mib(), 1), "core": round(used / seconds, 5)}


def main() -> None:
    """Serve, or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=("all", "cloud", "moto", "idle", "serve"))
    parser.add_argument("kind", nargs="?", default="cloud", choices=("cloud", "moto"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--recorded", type=int, default=RECORDED)
    options = parser.parse_args()
    if options.what == "serve":
        (serve_cloud if options.kind == "cloud" else serve_moto)(options.folder)
        return
    found: dict[str, Any] = {}
    for kind in ("cloud", "moto"):
        if options.what in ("all", kind):
            found[kind] = figures(kind, options.recorded)
    if options.what in ("all", "idle"):
        found["idle"] = idle()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
