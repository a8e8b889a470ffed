"""What a node's user-data holds: where to look and which digests to expect; never a credential.

The same JSON object is written by the flows and read by ``hcluster.node``; it must stay below 16 KiB.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from hcluster.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class UserData:
    """The identity of a node's group, the same for each node of the group."""

    platform: str
    cluster: str
    group: str
    role: str
    launch: str
    region: str
    bucket: str
    s3_endpoint: str
    """URL of S3 as the node reaches it."""
    config_key: str
    """Object with the node configuration of this launch (JSON)."""
    config_sha256: str
    release_key: str
    release_sha256: str
    expires_at: int = 0
    """Epoch seconds at which the node ends itself; 0: never. Here and not in the shared configuration: a node that
    cannot fetch anything must end too."""
    disks: int = 0
    """How many volumes each node of the group was launched with, beside its root."""

    def render(self) -> str:
        """The text that goes into the launch template."""
        return json.dumps({"hcluster": asdict(self)}, sort_keys=True, indent=1)

    @staticmethod
    def parse(text: str) -> UserData:
        """Read it back.

        Raises:
            IntegrityError: it is not what ``render`` writes.
        """
        try:
            return UserData(**json.loads(text)["hcluster"])
        except (ValueError, KeyError, TypeError) as cause:
            raise IntegrityError(
                "the user-data of this node was not written by hcluster", context=str(cause)
            ) from cause


def builder_user_data(image: str) -> str:
    """The text for a machine on which an image is baked: it is no node of any cluster."""
    return json.dumps({"hcluster-bake": image})


def is_builder(text: str) -> bool:
    """Whether ``builder_user_data`` wrote this."""
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and "hcluster-bake" in found
