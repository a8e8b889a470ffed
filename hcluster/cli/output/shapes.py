"""What each command prints with ``--output json``, as types; ``spec schema output`` and the reference show them.

Values of the model stand for themselves. A dictionary that a command makes has its ``TypedDict`` here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypedDict

Json = dict[str, Any]
"""A document whose form others decide: IAM, JSON Schema, a query's columns."""


class ReadyNodes(TypedDict):
    """What a cluster's JSON has beside its view."""

    ready_nodes: int
    """How many nodes are running and ready."""


class Gone(TypedDict):
    """A cluster that was waited for until it was gone."""

    name: str
    gone: bool
    """Always true."""


class NodeState(TypedDict):
    """The platform's own node."""

    instance: str
    """Its id."""
    state: str
    phase: str
    """Its latest check-in."""


class LastDump(TypedDict):
    """The newest dump of the metastore."""

    at: str
    """When it was written, ISO 8601."""
    age: int
    """Seconds since then."""
    key: str
    """The object that holds it."""


class PlatformState(TypedDict):
    """What runs on a platform, beside its record."""

    node: NodeState | None
    """null when it does not run."""
    dump: LastDump | None
    """null when there is none, or the metastore is not the platform's own."""
    clusters: int
    """How many clusters have nodes."""
    nodes: int
    """How many nodes they have."""


class NodeResult(TypedDict):
    """What a command did on one node."""

    instance: str
    group: str
    address: str
    exit_code: int
    """255 when the node could not be reached."""
    stdout: str
    stderr: str


class NodeCopied(TypedDict):
    """What was copied to or from one node."""

    instance: str
    address: str
    files: int
    bytes: int
    left_out: list[str]
    """What is neither file nor folder, and was not copied."""
    error: str
    """Why nothing was copied; empty when all was."""


class WebPage(TypedDict):
    """A web page of a cluster."""

    name: str
    url: str
    """Behind the proxy."""
    local: str | None
    """On this machine, when that was asked for."""


class Opened(TypedDict):
    """What `proxy` has opened, until it ends."""

    cluster: str
    socks: str
    """Address of the SOCKS5 proxy."""
    pages: list[WebPage]


class Log(TypedDict):
    """The end of a log."""

    cluster: str
    node: str
    """As it was given."""
    unit: str
    """Empty for the console."""
    lines: list[str]


class JobEnd(TypedDict):
    """How a job ended."""

    applications: list[str]
    """YARN application ids in order of their start."""
    exit_code: int
    seconds: float
    counters: dict[str, dict[str, int]]
    """Of the last job: group, counter, value."""
    stdout: str
    """The last MiB of the job's own standard output."""


class JobKilled(TypedDict):
    """An application that was to be killed."""

    id: str
    was: str
    """Its state before."""
    state: str
    """How it ended; as `was` when it had ended before."""


class JobLog(TypedDict):
    """A file that a container wrote."""

    container: str
    node: str
    file: str
    bytes: int
    """Of the whole file."""
    text: str


class Address(TypedDict):
    """Where a file lies now."""

    address: str
    """s3a://BUCKET/KEY"""


class StoredObject(TypedDict):
    """An object of the bucket."""

    key: str
    modified: str
    """ISO 8601, UTC."""


class ListedImage(TypedDict):
    """A machine image of the platform."""

    id: str
    family: str
    """What clusters say: `image: FAMILY`; its newest image is taken."""
    parent: str
    """Family of the image that it stands on, or that one's id; "-" for none."""
    parent_id: str
    layers: list[str]
    """Families from the lowest one to itself."""
    name: str
    state: str
    """As EC2 has it: available, pending, failed."""
    created: str
    """ISO 8601, as EC2 gives it."""
    age_seconds: int
    inputs: str
    """Hash of everything that it was made of."""


class Lock(TypedDict):
    """The lock of the Hadoop distribution."""

    checksums: int
    """How many jars it has."""
    changed: int
    """How many of its lines are new."""


class Fault(TypedDict):
    """Something that is broken on purpose."""

    id: str
    """What `undo` takes."""
    effect: Json
    """Its `kind`, and what that kind has."""
    text: str
    """What is broken, for people."""
    made: str
    """Since when, ISO 8601."""
    by: str
    until: str | None
    """When it ends by itself."""
    hits: int
    """How often it was felt."""
    seen: int
    """How many requests it was about, felt or not."""
    result: NotRequired[str]
    """Of `undo`: what became of it."""


class Killed(TypedDict):
    """Nodes that were killed."""

    killed: list[str]
    """Instance ids."""
    faults: list[Fault]
    """Those of them that `undo` starts again."""


class Faults(TypedDict):
    """What is broken in a local cloud, beside its state."""

    faults: list[Fault] | None
    """null when it was not asked for or cannot be told."""


class Checked(TypedDict):
    """What a YAML file was found to be."""

    file: str
    kind: str
    """cluster, platform or image."""
    findings: list[str]
    """What is wrong, each with file and line; none when it is fine."""
    warnings: list[str]
    """What is right, and has a consequence that nobody may expect."""
    spec: Json | None
    """With all defaults filled in; null when something is wrong. `spec schema KIND` has its form."""


class Installed(TypedDict):
    """Where a shell's completion was written."""

    shell: str
    file: str


class Written(TypedDict):
    """A file that was written."""

    file: str
    spec: Json
    """What it says, with all defaults filled in."""


class Versions(TypedDict):
    """What this hcluster is made of."""

    hcluster: str
    python: str
    distribution: dict[str, str] | None
    """Versions that a bake installs (Hadoop, Hive, Tez, …); null where there is no ami/ beside the program."""
    schemas: dict[str, str]
    """The first 12 hex digits of the SHA-256 of each schema of `spec schema`: equal ones describe equal files."""


class Failure(TypedDict):
    """What went wrong."""

    reference: str
    """One of docs/errors.md."""
    message: str
    context: str
    hint: str
    exit_code: int


class FailureDocument(TypedDict):
    """The last line of standard error when a command fails."""

    error: Failure


@dataclass(frozen=True)
class Silent:
    """Why a command has no JSON."""

    reason: str


ERROR = "error"


def shapes() -> dict[str, Any]:
    """The type of each command's JSON, by the command's words; ``Silent`` for those that print none."""
    from hcluster.executors.application import Application
    from hcluster.images.bake import Baked
    from hcluster.images.distribution import Distribution
    from hcluster.localcloud.control import CloudStatus
    from hcluster.model.forecast import Forecast
    from hcluster.model.platform import PlatformRecord
    from hcluster.model.views import ClusterView, DownResult, Finding, NodeView
    from hcluster.plan.timeline import Event
    from hcluster.plan.timings import Timings
    from hcluster.releases.publish import Published

    cluster: Any = Annotated[ClusterView, ReadyNodes, "Cluster"]
    either: Any = cluster | Forecast
    cloud: Any = Annotated[CloudStatus, Faults, "Cloud"]
    faults = dict.fromkeys(
        ("interrupt", "shortage", "throttle", "error", "delay", "lag", "clock", "freeze", "partition", "undo"),
        list[Fault],
    )
    return {
        "up": either,
        "wait": cluster | Gone,
        "resize": either,
        "down": DownResult | Forecast,
        "list": list[cluster],
        "show": cluster | Timings,
        "nodes": list[NodeView],
        "events": list[Event],
        "sql": list[Json],
        "job run": JobEnd,
        "job list": list[Application],
        "job kill": list[JobKilled],
        "job logs": list[JobLog],
        "data put": Address,
        "data cat": Silent("it prints the object's own bytes"),
        "data list": list[StoredObject],
        "exec": list[NodeResult],
        "cp": list[NodeCopied],
        "proxy": Opened,
        "ssh": Silent("it is a shell"),
        "logs": Log,
        "platform up": PlatformRecord,
        "platform status": Annotated[PlatformRecord, PlatformState, "Platform"],
        "platform down": DownResult,
        "ami bake": Baked,
        "ami list": list[ListedImage],
        "ami dist": Distribution,
        "ami lock": Lock,
        "puppet publish": Published,
        "doctor": list[Finding],
        "policies": Json,
        "spec schema": Json,
        "completion": Installed,
        "version": Versions,
        "spec init": Written,
        "spec validate": list[Checked],
        **dict.fromkeys(("local start", "local status", "local stop", "local reset"), cloud),
        **{f"local {name}": shape for name, shape in faults.items()},
        "local kill": Killed,
        ERROR: FailureDocument,
    }
