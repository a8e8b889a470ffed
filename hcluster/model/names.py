"""Where everything lies: tag keys, object keys and resource names, in one place."""

from __future__ import annotations

TAG_PLATFORM = "hcluster:platform"
TAG_CLUSTER = "hcluster:cluster"
TAG_GROUP = "hcluster:group"
TAG_ROLE = "hcluster:role"
TAG_LAUNCH = "hcluster:launch"
TAG_TEAM = "hcluster:team"
TAG_OWNER = "hcluster:owner"
TAG_TOLD = "hcluster:told"
"""What a node is told to be: see ``hcluster.model.told``. It reads the tag at its metadata service."""
TAG_MADE = "hcluster:made"
"""A digest of what a node was launched with and cannot be told otherwise: see ``hcluster.plan.converge.made_mark``."""

TAG_VOLUME = "hcluster:volume"
"""What a volume of the platform itself holds: METASTORE_VOLUME. Volumes of nodes have none."""

TAG_IMAGE_HASH = "hcluster:inputs"
TAG_IMAGE_NAME = "hcluster:image"
TAG_IMAGE_PARENT = "hcluster:parent"
"""Id of the image that an image was baked on."""
TAG_IMAGE_LAYERS = "hcluster:layers"
"""Names of the images in an image, lowest first, with commas."""
TAG_REGION = "hcluster:region"
"""Of roles and instance profiles alone: their names are shared by all regions of an account."""

PLATFORM_CLUSTER = "platform"
"""The reserved cluster name of the standing platform node."""


def spec_key(cluster: str) -> str:
    """Object that claims a cluster's name and holds its wanted spec."""
    return f"clusters/{cluster}/spec.json"


def launch_key(cluster: str, launch: str) -> str:
    """Record of one launch of a cluster."""
    return f"clusters/{cluster}/launches/{launch}.json"


def node_config_key(cluster: str, launch: str, digest: str) -> str:
    """What the nodes of one launch read at boot; its SHA-256 (hex) is in their user-data.

    Addressed by content, so that a changed spec never takes away what running nodes were told to expect.
    """
    return f"clusters/{cluster}/launches/{launch}.{digest[:16]}.nodes.json"


def checkins_prefix(cluster: str) -> str:
    """Below it lie the nodes' check-ins, INSTANCE/PHASE."""
    return f"clusters/{cluster}/nodes/"


def checkin_key(cluster: str, instance: str, phase: str) -> str:
    """One phase that one node reached."""
    return f"{checkins_prefix(cluster)}{instance}/{phase}"


def events_prefix(cluster: str) -> str:
    """Below it lie the notes of what was done to a cluster; they outlive it."""
    return f"clusters/{cluster}/events/"


def event_key(cluster: str, moment: str) -> str:
    """One note; ``moment`` sorts by time."""
    return f"{events_prefix(cluster)}{moment}.json"


def registry_key(cluster: str, launch: str) -> str:
    """The row of ``hcluster.clusters`` of one launch."""
    return f"registry/clusters/{cluster}-{launch}.json"


REGISTRY_PREFIX = "registry/clusters/"

HISTORY_KEY = "history/runs.json"
"""How long earlier runs of verbs took on this platform."""


def release_key(digest: str) -> str:
    """A Puppet release, addressed by the SHA-256 (hex) of its bytes."""
    return f"puppet/releases/{digest}.tar.gz"


def channel_key(channel: str) -> str:
    """The pointer of a Puppet channel: JSON with ``digest``, ``published`` and ``by``."""
    return f"puppet/channels/{channel}.json"


PLATFORM_KEY = "platform/platform.json"
"""What ``platform up`` made or adopted: see ``hcluster.model.platform.PlatformRecord``."""

METASTORE_VOLUME = "metastore"
"""The value of ``TAG_VOLUME`` of the volume with the metastore's database, which outlives the platform's node."""

WAREHOUSE_PREFIX = "warehouse/"


def resource_name(platform: str, *parts: str) -> str:
    """Name of an AWS resource (group, role, template) of a platform.

    Not unique: platform ``a-b`` with cluster ``c`` has the names of platform ``a`` with cluster ``b-c``. Whoever finds
    a resource of a name must look whose it is at its tags.
    """
    return "-".join(("hcluster", platform, *parts))
