"""What is asked before something is lost: what it is, in words and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hcluster.cli.output.render import age
from hcluster.plan.words import many

if TYPE_CHECKING:
    from hcluster.executors.application import Application
    from hcluster.localcloud.control import CloudStatus
    from hcluster.model.views import ClusterView


def end_cluster(view: ClusterView, now: datetime) -> str:
    """Before a cluster is ended."""
    alive = [node for node in view.nodes if node.instance.alive]
    groups = [node.group for node in alive]
    counts = ", ".join(f"{groups.count(group)} {group}" for group in dict.fromkeys(groups))
    since = f", {age(view.created, now)} old" if view.created else ""
    lost = [f"{many(len(alive), 'node')}{f' ({counts})' if counts else ''}"]
    if "core" in groups:
        lost.append("its HDFS, and everything in it")
    lost.append("its name: anybody may take it then")
    return _question(
        f"Cluster {view.name} of {view.owner}, team {view.team}{since}, is {view.state}.",
        lost,
        "Tables and files in S3 stay.",
        f"End cluster {view.name}?",
    )


def end_platform(found: Mapping[str, object], *, delete_data: bool) -> str:
    """Before a platform is ended; ``found`` is what ``platform status`` shows."""
    groups = found.get("groups")
    teams = [team for team in groups if team != "platform"] if isinstance(groups, Mapping) else []
    lost = [
        f"its node {found['metastore_node']}, which serves the metastore to all clusters"
        if found.get("metastore_node")
        else "its node",
        f"roles and security groups of teams {', '.join(sorted(teams))}" if teams else "roles and security groups",
    ]
    kept = f"Bucket {found['bucket']} and the volume with the metastore's tables stay."
    if delete_data:
        volume = f" {found['metastore_volume']}" if found.get("metastore_volume") else ""
        lost += [
            f"BUCKET {found['bucket']} WITH ALL FILES: data, warehouse, releases",
            f"VOLUME{volume} WITH ALL TABLES of the metastore, and its dumps",
        ]
        kept = "Nothing brings these back."
    name = f" {found['name']}" if found.get("name") else ""
    return _question(
        f"This ends platform{name}.", lost, kept, "End it and delete its data?" if delete_data else "End it?"
    )


def delete_cloud(found: CloudStatus) -> str:
    """Before a local cloud is deleted; "" when there is none."""
    if found.state == "absent":
        return ""
    lost = ["its instances" + (f", {many(found.nodes, 'node')} now" if found.running else "")]
    lost += ["its volumes and images, baked ones too", "its buckets, with everything in them"]
    return _question(
        f"This deletes the local cloud {found.name}.", lost, "Downloads and the base image stay.", "Delete it?"
    )


def kill_applications(applications: Sequence[Application], now: datetime) -> str:
    """Before applications are killed; "" when none of them lives."""
    if not applications:
        return ""
    lost = [
        f"{one.id}: {one.name} of {one.user}, {one.state} for {age(one.started, now)}, {one.progress:.0f} % done"
        for one in applications
    ]
    kept = "What they have written stays as it is."
    return _question(f"This kills {many(len(lost), 'application')}.", lost, kept, "Kill?")


def _question(situation: str, lost: Sequence[str], kept: str, question: str) -> str:
    return "\n".join([situation, "Lost for ever:", *(f"  - {one}" for one in lost), kept, question])
