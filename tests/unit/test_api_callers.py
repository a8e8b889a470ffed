"""The policies that hcluster ships for its callers and nodes: enough for every verb, and nothing that no verb needs.

Each verb runs over boto3 against the local cloud's API, as a user with exactly one of the policies; nodes check in with
exactly theirs. What each statement allowed is taken down.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.aws.account import AwsAccount
from hcluster.aws.checkins import StoredCheckIns
from hcluster.aws.compute import AwsCompute
from hcluster.aws.images import AwsImages
from hcluster.aws.objects import S3ObjectStore
from hcluster.aws.prices import AwsPrices
from hcluster.aws.session import AwsSession
from hcluster.errors import DeniedError, HclusterError
from hcluster.flows import data, doctor, forecast, listing, logs, platform, resize, timeline, up, wait
from hcluster.flows import down as down_flow
from hcluster.flows.context import Context
from hcluster.flows.waiting import platform_tag
from hcluster.localcloud.api.access.judge import Judge
from hcluster.model import names
from hcluster.model.principal import Principal
from hcluster.model.told import CONVERGED, Told
from hcluster.plan import access, callers
from hcluster.releases import publish
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.platform import PlatformSpec
from hcluster.testing.catalog import InMemoryCatalog
from hcluster.testing.remote import FakeConnector
from tests.unit.api_cloud import BASE, Cloud, running_cloud

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "lake"
PLATFORM = PlatformSpec(name="demo", bucket=BUCKET, teams=("analytics", "science"))
SCOPE = callers.Scope("demo", BUCKET, REGION, ACCOUNT)
SPEC = ClusterSpec.model_validate(
    {
        "name": "flights",
        "team": "analytics",
        "core": {"count": 1, "market": "spot", "types": ["m5.large"]},
        "master": {"types": ["m5.large"], "disks": [{"size_gib": 1}]},
    }
)
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9d0nGHPgmQm8VW7IDhvC1zT0ERpUDdBzMxI0lV4V9s me"


class Clock:
    """Real time, in which waiting is short."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.05))


@dataclass
class Taken:
    """What each user's statements allowed: by user, the (action, statements that allow it) of each need."""

    allowed: dict[str, set[tuple[str, frozenset[str]]]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@contextmanager
def taking_down() -> Iterator[Taken]:
    """Watch what is judged."""
    taken, judged = Taken(), Judge._decided

    def decided(principal: Any, need: Any, known: Any, who: Any) -> Any:
        found = judged(principal, need, known, who)
        if found.allowed:
            taken.allowed[principal.user].add((need.action, frozenset(match.sid for match in found.matched)))
        else:
            taken.refused[principal.user].add(f"{need.action} {need.resource}")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "_decided", staticmethod(decided))
        yield taken


class World:
    """A cloud, and a context for a user of each policy."""

    def __init__(self, cloud: Cloud, folder: Path, taken: Taken) -> None:
        self.cloud = cloud
        self.taken = taken
        self._folder = folder
        self._ended = threading.Event()
        self._nodes = threading.Thread(target=self._check_in, daemon=True)

    def user(self, name: str, document: Any) -> AwsSession:
        """The session of a new user with that policy alone."""
        iam = self.cloud.client("iam")
        iam.create_user(UserName=name)
        made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=made)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        folder = self._folder / name
        folder.mkdir()
        (folder / "config").write_text(f"[profile p]\nregion = {REGION}\nendpoint_url = {self.cloud.url}\n")
        (folder / "credentials").write_text(
            f"[p]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
        )
        return AwsSession("p", folder, REGION, self._folder / "sdk")

    def context(self, session: AwsSession, team: str = "analytics") -> Context:
        clock = Clock()
        compute, store = AwsCompute(session, clock), S3ObjectStore(session, BUCKET, clock)
        checkins = StoredCheckIns(store)
        return Context(
            platform=PLATFORM,
            principal=Principal("ann", team),
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

    def start_nodes(self) -> None:
        """From now on nodes check in, each with what its role's policy allows."""
        self.node_stores = {
            "team": S3ObjectStore(self.user("team-node", access.team_policy(BUCKET, REGION)), BUCKET, Clock()),
            "platform": S3ObjectStore(
                self.user("platform-node", access.platform_policy(BUCKET, REGION)), BUCKET, Clock()
            ),
        }
        self._nodes.start()

    def stop_nodes(self) -> None:
        self._ended.set()
        if self._nodes.is_alive():
            self._nodes.join(10)

    def _check_in(self) -> None:
        done: set[str] = set()
        answered: dict[str, str] = {}
        while not self._ended.wait(0.05):
            for instance in list(self.cloud.server._backend.alive()):
                tags = dict(self.cloud.server._backend.tags.get(instance.id, {}))
                cluster = tags.get(names.TAG_CLUSTER)
                if not cluster or instance.state != "running":
                    continue
                store = self.node_stores["platform" if cluster == names.PLATFORM_CLUSTER else "team"]
                phases = (("booted", {"host_keys": [_KEY]}), ("ready", {})) if instance.id not in done else ()
                for phase, body in phases:
                    store.put(names.checkin_key(cluster, instance.id, phase), json.dumps(body).encode())
                done.add(instance.id)
                tag = tags.get(names.TAG_TOLD, "")
                told = Told.parse(tag)
                if told and answered.get(instance.id) != tag:
                    # Nodes read their tags at the metadata service; what they answer needs their policy.
                    store.put(names.checkin_key(cluster, instance.id, told.answer(CONVERGED, Told.again(tag))), b"{}")
                    answered[instance.id] = tag


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("callers")
    (folder / "users").mkdir()
    with running_cloud(folder / "cloud") as cloud, taking_down() as taken:
        made = World(cloud, folder / "users", taken)
        made.start_nodes()
        yield made
        made.stop_nodes()


def bake(session: AwsSession, group: str) -> str:
    """The calls of Packer's amazon-ebs builder for our template; the image's id."""
    ec2 = AwsSession("p", Path(session.folder), REGION).client("ec2")
    tags = [{"Key": names.TAG_PLATFORM, "Value": "demo"}, {"Key": names.TAG_ROLE, "Value": "bake"}]
    ec2.describe_regions()
    ec2.describe_images(ImageIds=[BASE])
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.create_key_pair(KeyName="packer_1", TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}])
    instance = ec2.run_instances(
        ImageId=BASE,
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        KeyName="packer_1",
        InstanceInitiatedShutdownBehavior="terminate",
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "AssociatePublicIpAddress": False}
        ],
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    )["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    ec2.describe_instance_status(InstanceIds=[instance])
    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    image = str(ec2.create_image(InstanceId=instance, Name="hadoop-1")["ImageId"])
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1})
    snapshots = [
        one["Ebs"]["SnapshotId"]
        for one in ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
        if one.get("Ebs", {}).get("SnapshotId")
    ]
    ec2.create_tags(Resources=[image, *snapshots], Tags=[tags[0], {"Key": names.TAG_IMAGE_NAME, "Value": "hadoop"}])
    ec2.describe_volumes()
    ec2.describe_snapshots(OwnerIds=["self"])
    ec2.describe_tags()
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.delete_key_pair(KeyName="packer_1")
    return image


def found_platform(
    of: Mapping[callers.Group, Context], packer: AwsSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there is before a platform: its bucket, an image and a release."""
    admin, baker, publisher = of["admin"], of["baker"], of["publisher"]
    admin.store.ensure_bucket(platform_tag(admin))
    tags = platform_tag(baker)
    vpc, cidrs, _ = baker.compute.default_network() or ("", (), ())
    group = baker.compute.ensure_security_group(
        "hcluster-demo-bake", vpc=vpc, allow_from={}, allow_cidrs=cidrs, tags=tags
    )
    baker.images.base_image("debian-12-amd64-*", "136693071363")
    baker.compute.instances({**tags, names.TAG_ROLE: "bake"})
    old = bake(packer, group)
    baker.images.require_imdsv2(old)
    baker.images.deregister(old)
    baker.images.require_imdsv2(bake(packer, group))
    assert baker.images.images({**tags, names.TAG_IMAGE_NAME: "hadoop"})
    admin.store.put("data/images/a.jar", b"jar")
    assert b"".join(baker.store.stream("data/images/a.jar")) == b"jar"
    publisher.store.ensure_bucket(platform_tag(publisher))
    monkeypatch.setattr(publish, "validate", lambda _: 1)
    (folder / "manifests").mkdir()
    (folder / "manifests" / "site.pp").write_text("include role\n")
    for text in ("", "# changed\n"):
        (folder / "manifests" / "site.pp").write_text(f"{text}include role\n")
        publish.publish(publisher.store, folder, "stable", publisher.principal, clock=publisher.clock)


@pytest.mark.slow
def test_the_verbs_of_each_group_run_with_its_policy_and_need_each_statement_of_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first bake to the deletion of the bucket."""
    users = {group: world.user(group, callers.policy(group, SCOPE)) for group in callers.VERBS}
    of = {group: world.context(session) for group, session in users.items()}
    admin, operator, reader = (of[name] for name in ("admin", "operator", "reader"))
    found_platform(of, users["baker"], tmp_path, monkeypatch)
    platform.up(admin, timeout=60)
    assert platform.status(reader)["node"]

    # A cluster lives on it.
    planned = forecast.forecast_up(reader, SPEC)
    assert planned.cost.unknown == ()
    assert planned.expected.seconds is None
    up.up(operator, SPEC, wait=False)
    view = wait.until_ready(operator, "flights", timeout=60)
    assert up.up(operator, SPEC, timeout=60).launch == view.launch
    master = next(node.instance for node in view.nodes if node.group == "master")
    operator.compute.push_ssh_key(master.id, "admin", _KEY)
    assert master.id in logs.logs(operator, "flights", master.id)
    (tmp_path / "file").write_bytes(b"x" * (9 << 20))
    data.put(operator, tmp_path / "file", "data/file")
    assert sum(len(piece) for piece in data.cat(operator, "data/file")) == 9 << 20
    assert [one.name for one in listing.clusters(reader)] == ["flights"]
    assert listing.show(reader, "flights").state == "ready"
    assert resize.resized(reader, "flights", {"core": 2}).core.count == 2
    assert forecast.forecast_up(reader, SPEC.model_copy(update={"name": "other"})).expected.runs == 1
    assert forecast.forecast_down(reader, "flights").cost.unknown == ()
    assert {"launch", "launched", "joined", "ready"} == {one.kind for one in timeline.events(reader, "flights")}
    findings = {one.check: one for one in doctor.doctor(reader, SPEC)}
    wrong = [one for one in findings.values() if not one.ok and one.check not in ("metastore", "local packages")]
    assert not wrong
    rights = {name: not findings[f"{name}'s rights"].warning for name in callers.VERBS}
    assert rights == {"reader": True, "operator": False, "admin": False, "baker": False, "publisher": False}
    assert "ec2:CreateFleet" in findings["operator's rights"].message
    simulated: tuple[callers.Group, ...] = ("reader", "operator", "admin")
    for name in simulated:
        for question in callers.questions(name, SCOPE):
            assert of[name].account.refused(question.actions, question.resources, question.context) == ()

    # It follows a changed spec.
    changed = ClusterSpec.model_validate({**SPEC.model_dump(), "site": {"core-site": {"io.file.buffer.size": 65536}}})
    assert [one.kind for one in up.plan_up(operator, changed)] == ["tell", "tell"]
    up.up(operator, changed, timeout=60)
    assert up.plan_up(operator, changed) == []
    up.up(admin, SPEC, timeout=60)

    # And both end.
    changed = changed.model_copy(update={"tags": {"cost-centre": "42"}})
    up.up(operator, changed, timeout=60)
    down_flow.down(operator, "flights")
    assert [one.kind for one in timeline.events(reader, "flights")][-1] == "down"
    platform.down(admin, delete_data=False)
    platform.up(admin, timeout=60)
    platform.down(admin, delete_data=True)

    for group_name in users:
        assert world.taken.refused[group_name] <= TRIED.get(group_name, set()), group_name
        needed = {next(iter(sids)) for _, sids in world.taken.allowed[group_name] if len(sids) == 1}
        every = {statement["Sid"] for statement in callers.policy(group_name, SCOPE)["Statement"]}
        assert every - needed <= SELDOM.get(group_name, set()), f"{group_name} can do without these"


TRIED = {"publisher": {f"s3:CreateBucket arn:aws:s3:::{BUCKET}"}}
"""What a verb asks for and can do without."""
SELDOM: dict[str, set[str]] = {
    "operator": {"FirstSpotInstanceOfAnAccount"},
    "admin": {"FirstSpotInstanceOfAnAccount", "ReachNodes"},
}
"""Statements that nothing here needs: AWS makes a role when an account's first spot instance is launched, and nobody
really goes to the platform's node."""


def denied(call: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises((DeniedError, HclusterError, ClientError), match=r"(?i)not authorized|denied|403|may"):
        call(*arguments, **named)


def test_a_group_cannot_do_what_is_anothers(world: World) -> None:
    admin = world.context(world.user("admin-2", callers.policy("admin", SCOPE)))
    admin.store.ensure_bucket(platform_tag(admin))
    reader, publisher, baker = (
        world.context(world.user(f"{name}-2", callers.policy(name, SCOPE))) for name in ("reader", "publisher", "baker")
    )
    operator = world.context(world.user("operator-2", callers.policy("operator", SCOPE)))
    denied(reader.store.put, names.spec_key("x"), b"{}")
    denied(reader.store.get, "warehouse/t/f")
    denied(publisher.store.put, names.spec_key("x"), b"{}")
    denied(operator.store.put, names.release_key("d" * 64), b"packed")
    denied(operator.store.put, names.PLATFORM_KEY, b"{}")
    denied(operator.store.delete_bucket)
    denied(operator.compute.ensure_instance_profile, "hcluster-demo-x-node", {"Statement": []}, tags=SCOPE_TAGS)
    denied(baker.store.get, names.PLATFORM_KEY)
    foreign = world.cloud.run(1, TagSpecifications=[_tagged({names.TAG_PLATFORM: "other"})])[0]
    for context in (reader, operator, admin, baker, publisher):
        denied(context.compute.terminate, [foreign])
    denied(operator.compute.push_ssh_key, foreign, "admin", _KEY)
    ours = world.cloud.run(1, TagSpecifications=[_tagged(SCOPE_TAGS)])[0]
    denied(operator.compute.push_ssh_key, ours, "root", _KEY)
    denied(publisher.compute.terminate, [ours])
    denied(publisher.compute.tag, [ours], {names.TAG_TOLD: "x"})
    denied(operator.compute.tag, [foreign], {names.TAG_TOLD: "x"})
    denied(operator.compute.tag, [ours], {names.TAG_TEAM: "science"})
    operator.compute.tag([ours], {names.TAG_TOLD: "x"})
    operator.compute.terminate([ours])


SCOPE_TAGS = {names.TAG_PLATFORM: "demo"}


def _tagged(tags: dict[str, str]) -> dict[str, Any]:
    return {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def test_an_operator_of_one_team_keeps_to_its_clusters(world: World) -> None:
    one = world.context(world.user("science", callers.policy("operator", replace(SCOPE, team="science"))), "science")
    theirs, own = (
        world.cloud.run(1, TagSpecifications=[_tagged({**SCOPE_TAGS, names.TAG_TEAM: team})])[0]
        for team in ("analytics", "science")
    )
    denied(one.compute.terminate, [theirs])
    one.compute.terminate([own])


def test_a_teams_node_is_no_other_and_changes_nothing_that_nodes_are_told(world: World) -> None:
    admin = world.context(world.user("admin-3", callers.policy("admin", SCOPE)))
    admin.store.ensure_bucket(platform_tag(admin))
    row = names.registry_key("flights", "l")
    admin.store.put(row, b"{}")
    node, home = world.node_stores["team"], world.node_stores["platform"]
    node.put(names.checkin_key("flights", "i-1", "ready"), b"{}")
    node.put(row, b"{}")
    assert node.get(row)[0] == b"{}"
    denied(node.delete, row)
    denied(node.put, names.checkin_key(names.PLATFORM_CLUSTER, "i-1", "booted"), b"{}")
    denied(home.put, names.checkin_key("flights", "i-1", "booted"), b"{}")
    for store in (node, home):
        denied(store.put, names.spec_key("flights"), b"{}")
        denied(store.put, names.release_key("d" * 64), b"")
        denied(store.put, names.PLATFORM_KEY, b"{}")
    home.put(names.checkin_key(names.PLATFORM_CLUSTER, "i-1", "booted"), b"{}")


@pytest.mark.parametrize("scope", [SCOPE, replace(SCOPE, bucket="b" * 63, platform="p" * 30, region="ap-southeast-1")])
@pytest.mark.parametrize("group", callers.VERBS)
def test_each_policy_fits_into_a_managed_policy_of_iam(group: callers.Group, scope: callers.Scope) -> None:
    """6,144 characters without white space, also where all names are as long as they may be.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    assert len(json.dumps(callers.policy(group, scope), separators=(",", ":"))) <= 6144
