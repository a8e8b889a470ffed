"""The schema of cluster.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from hcluster.model.names import PLATFORM_CLUSTER
from hcluster.model.node import Market
from hcluster.model.told import can_hear
from hcluster.spec.base import STANDING, InstanceType, Lifetime, Name, Schema, live, refused, replace_nodes

MAX_NODES = 10_000
"""Of one group: the most that one instant fleet may ask for."""
MAX_SCRIPT_BYTES = 256 * 1024
"""Of one bootstrap script; larger things belong into the bucket or an image."""
MAX_TAGS = 40
"""EC2 allows 50 on a resource; hcluster's own take up to 10 of them."""

SiteFile = Literal["core-site", "hdfs-site", "yarn-site", "mapred-site", "capacity-scheduler", "tez-site", "hive-site"]


def _site_value(value: object) -> object:
    """Hadoop's files hold text only, so `true` and `3` of YAML become what their author meant."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _not_reserved(name: str) -> str:
    if name == PLATFORM_CLUSTER:
        raise ValueError(f"`{PLATFORM_CLUSTER}` is reserved for the platform's own node")
    return name


def _own_tag(key: str) -> str:
    if key.lower().startswith(("hcluster:", "aws:")):
        raise ValueError("tags that begin with `hcluster:` or `aws:` are reserved")
    return key


ClusterName = Annotated[Name, AfterValidator(_not_reserved)]
SiteValue = Annotated[str, BeforeValidator(_site_value)]
_TAG_LETTERS = r"[\p{L}\p{Z}\p{N}_.:/=+@-]"
"""What EC2 accepts in keys and values of tags (EC2 user guide, "tag restrictions")."""
TagKey = Annotated[str, StringConstraints(pattern=f"^{_TAG_LETTERS}+$", max_length=128), AfterValidator(_own_tag)]
TagValue = Annotated[str, StringConstraints(pattern=f"^{_TAG_LETTERS}*$", max_length=256)]


class DiskSpec(Schema):
    """An extra volume of each node of a group."""

    size_gib: Annotated[int, Field(strict=True, ge=1, le=16384)] = Field(
        description="Size in GiB.", json_schema_extra=replace_nodes("a node's volumes are made when it is launched")
    )
    type: Literal["gp3", "gp2", "io2", "st1", "sc1"] = Field(
        default="gp3",
        description="EBS volume type.",
        json_schema_extra=replace_nodes("a node's volumes are made when it is launched"),
    )


# The settings that all groups share, declared once; the groups differ in their defaults, limits and change policies.
def _types(policy: dict[str, Any]) -> Any:
    return Field(
        min_length=1,
        max_length=40,
        description="Instance types that will do, best first; more of them make a shortage less likely.",
        json_schema_extra=policy,
    )


def _market(policy: dict[str, Any]) -> Any:
    return Field(description="`on-demand`, or `spot`: cheaper, and may be taken away.", json_schema_extra=policy)


def _disks(policy: dict[str, Any]) -> Any:
    return Field(
        max_length=20,
        description="Extra volumes of each node, beside its root volume.",
        json_schema_extra=policy,
    )


Types = Annotated[tuple[InstanceType, ...], _types(replace_nodes("a node keeps the type that it was launched with"))]
MarketOf = Annotated[Market, _market(replace_nodes("a node stays in the market that it was launched in"))]
Disks = Annotated[tuple[DiskSpec, ...], _disks(replace_nodes("a node's volumes are made when it is launched"))]
_MASTER = refused("the master holds HDFS's names and cannot be replaced; take the cluster down and start it anew")
MasterTypes = Annotated[tuple[InstanceType, ...], _types(_MASTER)]
MasterMarket = Annotated[Market, _market(_MASTER)]
MasterDisks = Annotated[tuple[DiskSpec, ...], _disks(_MASTER)]
_COUNT_DOC = "How many nodes."
_GROW = "missing nodes are launched; running ones are not touched"
_SHRINK = "making a running cluster smaller comes with elasticity; until then, take it down and start it smaller"


class MasterGroup(Schema):
    """The one node with the NameNode, the ResourceManager, the JobHistory server and HiveServer2."""

    types: MasterTypes = ("m5.xlarge",)
    market: MasterMarket = "on-demand"
    count: Literal[1] = Field(
        default=1,
        description="Always 1.",
        json_schema_extra=refused("a cluster has one master, and it lives as long as the cluster"),
    )
    disks: MasterDisks = ()


class CoreGroup(Schema):
    """Workers that also hold HDFS blocks."""

    types: Types = ("m5.large",)
    market: MarketOf = "spot"
    count: Annotated[int, Field(strict=True, ge=1, le=MAX_NODES)] = Field(
        default=2, description=_COUNT_DOC, json_schema_extra=live(_GROW, no_decrease=_SHRINK)
    )
    disks: Disks = ()


class TaskGroup(Schema):
    """Workers without data, which may come and go."""

    types: Types = ("m5.large",)
    market: MarketOf = "spot"
    count: Annotated[int, Field(strict=True, ge=0, le=MAX_NODES)] = Field(
        default=0, description=_COUNT_DOC, json_schema_extra=live(_GROW, no_decrease=_SHRINK)
    )
    disks: Disks = ()


_BOOT_ONLY = "bootstrap scripts run once, when a node boots"


class BootstrapSpec(Schema):
    """A script of yours that every node runs as root after Puppet and before it counts as ready."""

    name: Annotated[
        Name, Field(description="What messages and logs call it.", json_schema_extra=replace_nodes(_BOOT_ONLY))
    ]
    script: Annotated[str, StringConstraints(max_length=MAX_SCRIPT_BYTES)] = Field(
        default="",
        description="The script itself, beginning with `#!`; a script that fails makes the node fail.",
        json_schema_extra=replace_nodes(_BOOT_ONLY),
    )
    file: str = Field(
        default="",
        description="Instead of `script`: a file beside the YAML that holds it; its text is kept with the spec.",
        json_schema_extra=replace_nodes(_BOOT_ONLY),
    )
    args: tuple[str, ...] = Field(
        default=(), description="Arguments of the script.", json_schema_extra=replace_nodes(_BOOT_ONLY)
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.script) == bool(self.file):
            raise ValueError("give exactly one of `script` and `file`")
        if self.script and not self.script.startswith("#!"):
            raise ValueError("the script must begin with `#!` and its interpreter, such as `#!/bin/sh`")
        return self


class PuppetChoice(Schema):
    """Which Puppet release configures the nodes."""

    channel: Name = Field(
        default="stable",
        description="Channel whose current release `up` gives to all nodes.",
        json_schema_extra=live("nodes fetch the release and apply it; what it changes is restarted, group by group"),
    )


_IDENTITY = "every tag, role and record of the cluster carries it; take the cluster down and start it anew"


class ClusterSpec(Schema):
    """What one cluster should be."""

    name: ClusterName = Field(
        description="Unique on the platform: 1 to 30 of a-z, 0-9 and -, a letter first.",
        json_schema_extra=refused(_IDENTITY),
    )
    team: Name = Field(
        description="One of the platform's teams; its members may use the cluster.",
        json_schema_extra=refused(_IDENTITY),
    )
    owner: Annotated[str, StringConstraints(pattern=f"^{_TAG_LETTERS}*$", max_length=128)] = Field(
        default="",
        description="Who answers for it; empty means whoever starts it.",
        json_schema_extra=refused(_IDENTITY),
    )
    image: Annotated[str, StringConstraints(pattern=r"^(ami-[0-9a-f]{8,17}|[a-z][a-z0-9-]{0,29})$")] = Field(
        default="hadoop",
        description="An image family (its newest image is taken) or an image's id (ami-…); default: the platform's.",
        json_schema_extra=replace_nodes("a node keeps the image that it was launched from"),
    )
    puppet: PuppetChoice = Field(default_factory=PuppetChoice, description="The Puppet release.")
    lifetime: Lifetime = Field(
        default=STANDING,
        description="`standing`, or how long it lives after its launch, such as 4h.",
        # As YAML has it.
        json_schema_extra=live("nodes are told the other moment at which they end themselves")
        | {"default": "standing"},
    )
    master: MasterGroup = Field(default_factory=MasterGroup, description="The master node.")
    core: CoreGroup = Field(default_factory=CoreGroup, description="Workers with HDFS.")
    task: TaskGroup = Field(default_factory=TaskGroup, description="Workers without HDFS.")
    site: dict[SiteFile, dict[str, SiteValue]] = Field(
        default_factory=dict,
        description="Hadoop properties by file (without .xml); they win over the platform's own values.",
        json_schema_extra=live("nodes fetch the configuration and apply it; daemons restart, group by group"),
    )
    bootstrap: tuple[BootstrapSpec, ...] = Field(
        default=(),
        max_length=20,
        description="Scripts that every node runs, in order.",
        json_schema_extra=replace_nodes(_BOOT_ONLY),
    )
    tags: dict[TagKey, TagValue] = Field(
        default_factory=dict,
        max_length=MAX_TAGS,
        description="Further tags of every resource of the cluster. Keys of A-Z, a-z, 0-9 and _.:=,+@- alone let "
        "running nodes be told of changes.",
        json_schema_extra=replace_nodes("tags are given in the launch call itself"),
    )

    def warnings(self) -> list[str]:
        """What is right, and has a consequence that nobody may expect; each with its field and the cure."""
        deaf = [key for key in self.tags if not can_hear([key])]
        if not deaf:
            return []
        keys = " and ".join(f"`{key}`" for key in deaf)
        why = "EC2 shows no tags to a node that has keys with other characters than A-Z a-z 0-9 _.:=,+@-"
        cure = "and by a tag it hears of changes; use other keys if the cluster shall be changed while it runs"
        return [f"tags: no running node can be told anything with {keys}: {why}, {cure}"]

    @model_validator(mode="after")
    def _unique_bootstrap_names(self) -> Self:
        names = [script.name for script in self.bootstrap]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"bootstrap scripts need different names, but there is more than one {', '.join(twice)}")
        return self

    def groups(self) -> dict[str, MasterGroup | CoreGroup | TaskGroup]:
        """The groups by name, also those without nodes."""
        return {"master": self.master, "core": self.core, "task": self.task}

    def wanted(self) -> dict[str, int]:
        """Nodes wanted by group; groups without nodes are left out."""
        return {name: group.count for name, group in self.groups().items() if group.count}
