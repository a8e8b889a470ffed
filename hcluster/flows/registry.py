"""The rows of ``hcluster.clusters``: who launched what, when it was ready, when it ended. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hcluster.flows.records import Claim
from hcluster.model.views import ClusterView


def iso(epoch: float) -> str:
    """A moment as the table holds it: UTC, whole seconds."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")


def ready_row(claim: Claim, view: ClusterView, *, image: str, release: str, now: float) -> bytes:
    """One line of JSON for a launch that became ready; columns as in ``hcluster.metastore.registry``."""
    types = sorted({node.instance.type for node in view.nodes})
    row = {
        "name": claim.cluster,
        "launch": claim.launch,
        "team": claim.team,
        "owner": claim.owner,
        "state": "ready",
        "image": image,
        "release": release,
        "master": view.master,
        "started": iso(claim.created),
        "ready": iso(now),
        "ended": None,
        "workers": sum(node.group in ("core", "task") for node in view.nodes),
        "types": ",".join(types),
        "spec": json.dumps(claim.spec, sort_keys=True, separators=(",", ":")),
    }
    return (json.dumps(row, sort_keys=True) + "\n").encode()


def grown_row(first: bytes, now: bytes) -> bytes:
    """The row of a launch that was ready before: what ``up`` may have changed as it is now, the rest as it was."""
    changed = {key: value for key, value in json.loads(now).items() if key in ("workers", "types", "release", "spec")}
    return (json.dumps(json.loads(first) | changed, sort_keys=True) + "\n").encode()
