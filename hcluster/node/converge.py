"""A member of a cluster becomes what it is told to be: fetched, verified and applied; then it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hcluster.errors import DeadlineError, HclusterError
from hcluster.model.told import CONVERGED, DRAINED, UNCONVERGED, Told
from hcluster.model.user_data import UserData
from hcluster.node import drain, health, lifetime, release
from hcluster.node.bootstrap import HEALTH_SECONDS, Marks, Paths, explained, prepare, write
from hcluster.node.bucket import Bucket
from hcluster.node.imds import Identity, Imds
from hcluster.node.orders import told_by

SETTLE_SECONDS = 180.0
"""How long daemons that Puppet restarts may take to stop and to be started."""


def converge(imds: Imds | None = None, paths: Paths | None = None) -> int:
    """Apply what this node is told now, fetched and verified anew, and answer; 0 or 1."""
    imds, paths = imds or Imds(), paths or Paths()
    try:
        identity = imds.identity()
        user_data, told = told_by(UserData.parse(identity.user_data), identity)
        again = Told.again(identity.told)
    except HclusterError as cause:
        print(f"hcluster: {cause.message}\n{cause.context}", file=sys.stderr, flush=True)
        return 1
    bucket, marks = Bucket(user_data.bucket, user_data.region, user_data.s3_endpoint), Marks()
    try:
        body = follow(user_data, identity, bucket, marks, paths)
    except Exception as cause:  # noqa: BLE001 - whatever it is, the one who waits for this node must hear of it
        reference, message, context = explained(cause)
        print(f"hcluster: not converged in step {marks.step}: {message}\n{context}", file=sys.stderr, flush=True)
        body = {"reference": reference, "message": message, "log_tail": context[-8000:], "step": marks.step}
        return _answer(identity, user_data, bucket, paths, told.answer(UNCONVERGED, again), body) or 1
    write(paths.var / "converged", json.dumps({"at": time.time(), **body}) + "\n")
    return _answer(identity, user_data, bucket, paths, told.answer(CONVERGED, again), {**body, "marks": marks.times})


def follow(user_data: UserData, identity: Identity, bucket: Bucket, marks: Marks, paths: Paths) -> dict[str, object]:
    """Fetch, verify, apply, and wait until this node is well again; what the answer tells of it.

    Raises:
        HclusterError: any of it failed.
    """
    shared = prepare(user_data, identity, bucket, marks, paths)
    marks.enter("lifetime")
    if user_data.role != "platform":
        lifetime.change(int(str(shared.get("expires_at", user_data.expires_at))), user_data.expires_at, paths.var)
    marks.enter("puppet")
    code = release.apply(paths.base / "release", user_data.role, paths.log / "puppet.log")
    marks.enter("health")
    checks = health.load(paths.etc / "health.json")
    settle([check.unit for check in checks])
    health.wait(checks, HEALTH_SECONDS)
    if identity.told != _noted(paths):
        # Whoever has told it something waits for a node that works again. The timer may find one that is being drained.
        marks.enter("joining")
        health.wait_joined(health.load_joins(paths.etc / "joins.json"), HEALTH_SECONDS)
    if user_data.role == "master":
        marks.enter("drain")
        _drain(shared, user_data, identity, paths)
    return {"launch": user_data.launch, "puppet_exit": code}


def _drain(shared: Mapping[str, Any], user_data: UserData, identity: Identity, paths: Paths) -> None:
    excluded = shared.get("excluded") or {}
    drain.refresh(excluded, int(shared.get("drain_seconds") or 0), paths.var)
    if any(excluded.values()):
        drain.start(told_by(user_data, identity)[1].mark(Told.again(identity.told)))


def _noted(paths: Paths) -> str:
    """What this node was told when it answered last."""
    noted = paths.var / "told"
    return noted.read_text().strip() if noted.exists() else ""


def settle(units: Sequence[str], deadline_seconds: float = SETTLE_SECONDS) -> None:
    """Wait until systemd has done what Puppet has queued: a daemon that is about to stop still looks well.

    Raises:
        DeadlineError: jobs are still queued.
    """
    end = time.monotonic() + deadline_seconds
    while pending := [unit for unit in units if has_job(unit)]:
        if time.monotonic() > end:
            raise DeadlineError(f"systemd has not restarted {', '.join(pending)} in {deadline_seconds:.0f} s")
        time.sleep(0.5)


def has_job(unit: str) -> bool:
    """Whether systemd has something queued for a unit."""
    command = ["systemctl", "show", "--property=Job", "--value", unit]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return answer.stdout.strip() not in ("", "0")


def _answer(
    identity: Identity, user_data: UserData, bucket: Bucket, paths: Paths, phase: str, body: Mapping[str, object]
) -> int:
    """Check in, and note what was tried, so that it is not tried again before something else is told."""
    try:
        bucket.check_in(user_data.cluster, identity.instance, phase, body)
    except HclusterError as cause:
        print(f"hcluster: nobody can be told: {cause.message}\n{cause.context}", file=sys.stderr, flush=True)
        return 1
    write(paths.var / "told", identity.told + "\n")
    return 0


def watch_drain(imds: Imds | None = None, paths: Paths | None = None) -> int:
    """Answer once the nodes that this master is told to leave out are empty; see ``hcluster.node.drain.watch``."""
    imds, paths = imds or Imds(), paths or Paths()
    identity = imds.identity()
    user_data, told = told_by(UserData.parse(identity.user_data), identity)
    bucket = Bucket(user_data.bucket, user_data.region, user_data.s3_endpoint)
    values = json.loads((paths.etc / "node.yaml").read_text())

    def still_told() -> bool:
        return imds.identity().told == identity.told

    def check_in(phase: str, body: Mapping[str, object]) -> None:
        bucket.check_in(user_data.cluster, identity.instance, phase, body)

    return drain.watch(values, told.answer(DRAINED, Told.again(identity.told)), still_told, check_in)
