"""What this node is told to be, by its tag at the metadata service; by its user-data until the tag says more."""

from __future__ import annotations

from dataclasses import replace

from hcluster.model import names
from hcluster.model.told import Told
from hcluster.model.user_data import UserData
from hcluster.node.imds import Identity


def told_by(user_data: UserData, identity: Identity) -> tuple[UserData, Told]:
    """The user-data with the configuration and the release that hold now, and how they are called.

    A tag of any other form says nothing. Whatever it says is fetched by its digests and refused when it has others.
    """
    told = Told.parse(identity.told)
    if told is None:
        return user_data, Told(user_data.config_sha256, user_data.release_sha256)
    now = replace(
        user_data,
        config_key=names.node_config_key(user_data.cluster, user_data.launch, told.config),
        config_sha256=told.config,
        release_key=names.release_key(told.release),
        release_sha256=told.release,
    )
    return now, told
