"""How many calls of each kind an `up` makes, over boto3 against the local cloud's API with dry nodes.

``calls(3)`` and ``calls(10)`` differ by listings alone: those are made while it waits, one of instances and one of
check-ins a poll. ``tests/unit/test_benchmarks.py`` holds it.
"""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from hcluster.aws.account import AwsAccount
from hcluster.aws.checkins import StoredCheckIns
from hcluster.aws.compute import AwsCompute
from hcluster.aws.images import AwsImages
from hcluster.aws.objects import S3ObjectStore
from hcluster.aws.prices import AwsPrices
from hcluster.aws.session import AwsSession
from hcluster.flows import platform, up
from hcluster.flows.context import Context
from hcluster.localcloud.api.server import ApiServer
from hcluster.localcloud.dry import IMAGE_ID, IMAGE_NAME, DryMachines
from hcluster.localcloud.settings import settings_on
from hcluster.model import names
from hcluster.model.principal import Principal
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.platform import PlatformSpec
from hcluster.testing.catalog import InMemoryCatalog
from hcluster.testing.remote import FakeConnector

LISTINGS = frozenset({"DescribeInstances", "ListObjectsV2"})
"""What is asked again at each poll."""
REGION, BUCKET = "us-east-1", "calls"
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9d0nGHPgmQm8VW7IDhvC1zT0ERpUDdBzMxI0lV4V9s"


class Clock:
    """Real time, in which waiting is short."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """At most a moment."""
        time.sleep(min(seconds, 0.05))


@contextmanager
def served(folder: Path) -> Iterator[AwsSession]:
    """The API in this process; a session of its administrator."""
    server = ApiServer(settings_on("calls", folder / "cloud", IPv4Network("10.65.0.0/16")), DryMachines())
    server.load()
    server.register_base_image(IMAGE_ID, IMAGE_NAME)
    key, secret = server.admin_keys()
    api, imds = (socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2))
    url = f"http://127.0.0.1:{api.getsockname()[1]}"
    server.serve(api, imds)
    server.resume()
    profile = folder / "aws"
    profile.mkdir()
    (profile / "config").write_text(f"[profile p]\nregion = {REGION}\nendpoint_url = {url}\n")
    (profile / "credentials").write_text(f"[p]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    try:
        yield AwsSession("p", profile, REGION)
    finally:
        server.shutdown()


def context(session: AwsSession) -> Context:
    """What the verbs are given."""
    clock = Clock()
    compute, store = AwsCompute(session, clock), S3ObjectStore(session, BUCKET, clock)
    checkins = StoredCheckIns(store)
    return Context(
        platform=PlatformSpec(name="calls", bucket=BUCKET, teams=("default",)),
        principal=Principal("ann", "default"),
        compute=compute,
        account=AwsAccount(session, clock),
        prices=AwsPrices(session, clock),
        images=AwsImages(session, clock),
        store=store,
        checkins=checkins,
        connector=FakeConnector(checkins),
        catalog=InMemoryCatalog(),
        clock=clock,
    )


@contextmanager
def nodes_check_in(ctx: Context) -> Iterator[None]:
    """From now on each running node is ready; ``ctx`` must not be the one whose calls are counted."""
    ended, done = threading.Event(), set()

    def work() -> None:
        while not ended.wait(0.05):
            for node in ctx.compute.instances({names.TAG_PLATFORM: "calls"}):
                if node.state != "running" or node.id in done:
                    continue
                cluster = node.tags.get(names.TAG_CLUSTER, "")
                for phase, body in (("booted", {"host_keys": [_KEY]}), ("ready", {})):
                    ctx.store.put(names.checkin_key(cluster, node.id, phase), json.dumps(body).encode())
                done.add(node.id)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


def prepare(session: AwsSession) -> None:
    """What there is before a cluster: an image, a release and the platform."""
    ctx = context(session)
    ctx.store.ensure_bucket({names.TAG_PLATFORM: "calls"})
    ctx.store.put(names.release_key("d" * 64), b"packed")
    ctx.store.put(names.channel_key("stable"), json.dumps({"digest": "d" * 64}).encode())
    ec2 = session.client("ec2")
    source = ec2.run_instances(ImageId=IMAGE_ID, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]
    ec2.get_waiter("instance_running").wait(InstanceIds=[source["InstanceId"]], WaiterConfig={"Delay": 1})
    image = ec2.create_image(InstanceId=source["InstanceId"], Name="hadoop-1")["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1})
    tags = {names.TAG_PLATFORM: "calls", names.TAG_IMAGE_NAME: "hadoop"}
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    platform.up(ctx)


def counted(session: AwsSession) -> Counter[str]:
    """From now on, how often each operation is called."""
    found: Counter[str] = Counter()

    def note(model: Any, **_: object) -> None:
        found[model.name] += 1

    for service in ("ec2", "s3", "iam", "sts"):
        session.client(service).meta.events.register("before-call", note)
    return found


def calls(*sizes: int) -> list[dict[str, int]]:
    """Calls by operation of an `up` with so many nodes, each of a cluster of its own."""
    found = []
    with tempfile.TemporaryDirectory(prefix="calls-") as folder, served(Path(folder)) as session:
        node_side = context(AwsSession("p", Path(folder) / "aws", REGION))
        with nodes_check_in(node_side):
            prepare(session)
            for size in sizes:
                mine = AwsSession("p", Path(folder) / "aws", REGION)
                ctx, counts = context(mine), counted(mine)
                workers = {"count": size - 1, "types": ["m5.large"]}
                up.up(ctx, ClusterSpec.model_validate({"name": f"of-{size}", "team": "default", "core": workers}))
                found.append(dict(sorted(counts.items())))
    return found
