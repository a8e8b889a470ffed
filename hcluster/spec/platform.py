"""The schema of platform.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from hcluster.model.names import PLATFORM_CLUSTER, resource_name
from hcluster.spec.base import InstanceType, Name, Schema, live, refused, replace_nodes

ENDPOINT = "{endpoint}"
"""In ``network.package_proxy``: the host of the profile's EC2 endpoint."""

MAX_ROLE_NAME = 64
"""Letters of a role's name that IAM allows."""

_CALLER = "it only tells how this machine reaches AWS"
_DATA = "data and running clusters depend on it; make another platform"
_BAKES = "the next bake uses it; existing images stay"


def _no_dots(bucket: str) -> str:
    # A dot would break the wildcard certificate of virtual-hosted addresses, and the bucket is part of table locations.
    if "--" in bucket or bucket.endswith("-") or bucket.startswith(("xn--", "sthree-")):
        raise ValueError("a bucket's name may not hold --, end with - or begin with xn-- or sthree-")
    return bucket


class AwsSpec(Schema):
    """Where the credentials are."""

    profile: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="default", description="Name of the AWS profile.", json_schema_extra=live(_CALLER)
    )
    directory: str = Field(
        default="",
        description="Folder with the files `config` and `credentials`, relative to this file; empty means ~/.aws.",
        json_schema_extra=live(_CALLER),
    )


class NetworkSpec(Schema):
    """Where nodes are launched and how they are reached."""

    vpc: Annotated[str, StringConstraints(pattern=r"^(default|vpc-[0-9a-f]{8,17})$")] = Field(
        default="default", description="Id of a VPC, or `default`: the region's own.", json_schema_extra=refused(_DATA)
    )
    subnets: tuple[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...] = Field(
        default=(),
        description="Ids of the subnets for nodes, at most one of each zone; none means all of the VPC.",
        json_schema_extra=live("later launches use them; running nodes stay"),
    )
    bastion: str = Field(
        default="",
        description="HOST or USER@HOST of an SSH server through which nodes are reached; empty means directly.",
        json_schema_extra=live(_CALLER),
    )
    package_proxy: Annotated[str, StringConstraints(pattern=r"^(|(\{endpoint\}|[A-Za-z0-9.-]+):[0-9]{1,5})$")] = Field(
        default="",
        description=(
            "HOST:PORT of an HTTP proxy through which bakes install packages; empty means directly. `{endpoint}` as "
            "the host stands for the host of the profile's EC2 endpoint (the local cloud serves its proxy there); "
            "quote it in YAML."
        ),
        json_schema_extra=live(_BAKES),
    )
    ssh_user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = Field(
        default="admin",
        description="The user of the images that may use sudo.",
        json_schema_extra=replace_nodes("the user is made when an image is baked"),
    )

    def proxy(self, endpoint: str) -> str:
        """HOST:PORT of the package proxy, "" for none; ``endpoint`` is the URL of EC2 as the profile reaches it."""
        return self.package_proxy.replace(ENDPOINT, urlsplit(endpoint).hostname or "")


class MetastoreSpec(Schema):
    """The Hive metastore that all clusters share."""

    external: Annotated[str, StringConstraints(pattern=r"^(|thrift://[A-Za-z0-9.-]+:[0-9]{1,5})$")] = Field(
        default="",
        description="thrift://HOST:PORT of a metastore that exists; empty means the platform's own node serves one.",
        json_schema_extra=refused("tables would be left behind in the other metastore; make another platform"),
    )
    type: InstanceType = Field(
        default="t3.large",
        description="Instance type of the platform's node; one of the Nitro system, whose volumes tell their ids.",
        json_schema_extra=replace_nodes("a node keeps the type that it was launched with"),
    )
    volume_gib: Annotated[int, Field(ge=1, le=16384)] = Field(
        default=20,
        description="Size in GiB of the volume that holds the metastore's tables and outlives the platform's node.",
        json_schema_extra=live("the next volume has it; the one with the tables keeps its size"),
    )


class BaseImage(Schema):
    """What the Hadoop image is built on."""

    name: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="debian-12-amd64-*",
        description="Name pattern; the newest image that fits is taken.",
        json_schema_extra=live(_BAKES),
    )
    owner: Annotated[str, StringConstraints(pattern=r"^([0-9]{12}|self|amazon)$")] = Field(
        default="136693071363",
        description="Account that owns it (Debian's own by default).",
        json_schema_extra=live(_BAKES),
    )


class ImagesSpec(Schema):
    """How images are baked."""

    base: BaseImage = Field(default_factory=BaseImage, description="The image to start from.")
    name: Name = Field(
        default="hadoop",
        description="Name of the family of images; clusters use its newest by default.",
        json_schema_extra=live(_BAKES),
    )
    directory: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="images",
        description=(
            "Folder with NAME.yaml of each image of your own, relative to this file; it need not exist. Images that "
            "are not there are looked for among those that hcluster ships."
        ),
        json_schema_extra=live(_BAKES),
    )
    bake_type: InstanceType = Field(
        default="m5.xlarge", description="Instance type on which images are baked.", json_schema_extra=live(_BAKES)
    )


class PuppetSpec(Schema):
    """Which Puppet releases are used where a cluster does not say."""

    channel: Name = Field(
        default="stable",
        description="Channel of the platform's node and the default of clusters.",
        json_schema_extra=live("later launches use it"),
    )


def _team(name: str) -> str:
    if name == PLATFORM_CLUSTER:
        raise ValueError(f"`{PLATFORM_CLUSTER}` is reserved for the platform itself")
    return name


class PlatformSpec(Schema):
    """What clusters stand on: an account, a region, a bucket, a network, a metastore and teams."""

    name: Name = Field(
        description="Name of the platform; it is part of every resource's name.", json_schema_extra=refused(_DATA)
    )
    aws: AwsSpec = Field(default_factory=AwsSpec, description="Credentials.")
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = Field(
        default="us-east-1", description="AWS region.", json_schema_extra=refused(_DATA)
    )
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{2,62}$"), AfterValidator(_no_dots)] = Field(
        description="S3 bucket for data, state and releases; `platform up` makes it when it does not exist.",
        json_schema_extra=refused(_DATA),
    )
    network: NetworkSpec = Field(default_factory=NetworkSpec, description="Network.")
    metastore: MetastoreSpec = Field(default_factory=MetastoreSpec, description="Hive metastore.")
    teams: tuple[Annotated[Name, AfterValidator(_team)], ...] = Field(
        min_length=1,
        description="Names of the teams; `platform up` makes a role and a security group for each.",
        json_schema_extra=live("`platform up` makes what a new team needs"),
    )
    images: ImagesSpec = Field(default_factory=ImagesSpec, description="Images.")
    puppet: PuppetSpec = Field(default_factory=PuppetSpec, description="Puppet releases.")
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Part of a cluster.yaml that applies to every cluster that does not say otherwise.",
        json_schema_extra=live("later launches use them"),
    )

    @model_validator(mode="after")
    def _unique_teams(self) -> Self:
        if len(set(self.teams)) != len(self.teams):
            raise ValueError("each team is named once")
        return self

    @model_validator(mode="after")
    def _roles_fit(self) -> Self:
        roles = {team: resource_name(self.name, team, "node") for team in self.teams}
        long = [team for team, role in roles.items() if len(role) > MAX_ROLE_NAME]
        if long:
            most = MAX_ROLE_NAME - len(resource_name(self.name, "", "node"))
            raise ValueError(
                f"roles are named hcluster-PLATFORM-TEAM-node, in {MAX_ROLE_NAME} letters at most: a team of platform "
                f"{self.name} may have at most {most}; too long: {', '.join(long)}"
            )
        return self
