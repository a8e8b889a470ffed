"""What the flows keep in the bucket: claims, launches, the platform's record, channel pointers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from hcluster.errors import ConflictError, NotFoundError
from hcluster.flows.gather import gather
from hcluster.model import names
from hcluster.model.platform import PlatformRecord
from hcluster.plan.changes import changes
from hcluster.plan.nodes import expires_at
from hcluster.ports import ObjectStore

if TYPE_CHECKING:
    from hcluster.spec.cluster import ClusterSpec

WANTED, ENDING = "wanted", "ending"
"""States of a claim: a cluster to be, and one that is being taken down."""
MARK_TRIES = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """Body of ``clusters/NAME/spec.json``: who holds the name, what is wanted, which launch is meant."""

    cluster: str
    team: str
    owner: str
    launch: str
    created: float
    """Epoch seconds."""
    spec: Mapping[str, object]
    attempt: int = 0
    """Grows when the cloud launched less than it was asked for, so that the next call is a new one for it."""
    state: str = WANTED
    by: str = ""
    """Who wrote the spec; "" in claims of earlier versions."""
    written: float = 0.0
    """When, in epoch seconds."""

    def body(self) -> bytes:
        """As it lies in the bucket."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()


def read_claim(store: ObjectStore, cluster: str) -> tuple[Claim, str] | None:
    """The claim of a name and its etag, None when the name is free."""
    try:
        body, etag = store.get(names.spec_key(cluster))
    except NotFoundError:
        return None
    return Claim(**json.loads(body)), etag


Seen = tuple[Claim, str] | None
"""A claim and its etag as they were read, None for a name that was free."""


def taken_up(seen: Seen, wanted: Claim) -> Claim:
    """What a claim becomes when ``wanted`` is claimed over it: one's own earlier launch goes on with the new spec.

    Raises:
        ConflictError: another team or owner holds the name, or the cluster is being taken down.
    """
    if seen is None:
        return wanted
    found = seen[0]
    if found.state == ENDING:
        raise _ending(found)
    if (found.team, found.owner) != (wanted.team, wanted.owner):
        raise ConflictError(
            f"the name {wanted.cluster} is taken by {found.owner} of team {found.team}",
            hint=f"choose another `name` in the cluster's YAML, or ask them to run `hcluster down {wanted.cluster}`",
            reference="name-taken",
        )
    if expired(found, wanted.created):
        return wanted
    ours = replace(wanted, launch=found.launch, created=found.created, attempt=found.attempt)
    # Nobody changes a spec by asking for the same.
    return replace(ours, by=found.by, written=found.written) if ours.spec == found.spec else ours


def claim(store: ObjectStore, wanted: Claim, seen: Seen) -> Claim:
    """Claim a name, or take up one's own earlier claim with the spec now wanted.

    ``seen`` is what was read before and what every decision since stands on: the write is for exactly that state.

    Raises:
        ConflictError: another team or owner holds the name; or somebody has changed the spec since ``seen``.
    """
    key, basis = names.spec_key(wanted.cluster), seen
    for _ in range(MARK_TRIES):
        ours = taken_up(seen, wanted)
        if seen is not None and ours == seen[0]:
            return ours
        try:
            store.put(key, ours.body(), if_none_match=seen is None, if_match=seen[1] if seen else "")
        except ConflictError:
            seen = read_claim(store, wanted.cluster)
            if seen is not None and seen[0].state != ENDING and seen[0].spec != wanted.spec:
                taken_up(seen, wanted)
                if basis is None or (basis[0].launch, basis[0].spec) != (seen[0].launch, seen[0].spec):
                    raise spec_changed(seen[0], wanted) from None
            continue
        return ours
    raise _keeps_changing(wanted.cluster)


def spec_changed(now: Claim, ours: Claim) -> ConflictError:
    """Somebody else's spec stands where ours did, or was to be."""
    theirs, mine = _spec(now), _spec(ours)
    return ConflictError(
        f"{now.by or now.owner} changed the spec of cluster {now.cluster} at "
        f"{datetime.fromtimestamp(now.written or now.created, UTC).isoformat(timespec='seconds')}, "
        "while this command was at work on it",
        context="\n".join(
            f"{one.field}: {json.dumps(one.new)} by {now.by or now.owner}, {json.dumps(one.old)} here"
            for one in changes(mine, theirs)
        ),
        hint=f"nothing is lost: `hcluster show {now.cluster}` has their spec; agree, take over what should stay into "
        "your YAML, and run this command again",
        reference="spec-changed",
    )


def launch_id(now: float) -> str:
    """A new id, sortable by time; ``now`` in epoch seconds."""
    return f"{datetime.fromtimestamp(now, UTC).strftime('%Y%m%dt%H%M%S')}-{secrets.token_hex(2)}"


def claimed(store: ObjectStore) -> dict[str, Claim]:
    """Claims of clusters by name, with or without nodes; one call for each name that ever was.

    A bucket that does not exist holds none.
    """
    try:
        folders = [name for name in store.folders("clusters/") if name != names.PLATFORM_CLUSTER]
    except NotFoundError:
        return {}
    held = gather([partial(read_claim, store, name) for name in folders])
    return {name: one[0] for name, one in zip(folders, held, strict=True) if one}


def expired(held: Claim, now: float) -> bool:
    """Whether the launch of a claim has outlived the lifetime of its spec, so that its nodes have ended themselves."""
    end = expires_at(held.created, _spec(held).lifetime)
    return bool(end) and now >= end


def _spec(held: Claim) -> ClusterSpec:
    # Its classes take long to make, and what only lists claims needs none of them.
    from hcluster.spec.cluster import ClusterSpec

    return ClusterSpec.from_json(json.dumps(held.spec))


def _ending(held: Claim) -> ConflictError:
    return ConflictError(
        f"cluster {held.cluster} is being taken down",
        hint=f"wait until that is done, or finish it with `hcluster down {held.cluster}`",
        reference="being-taken-down",
    )


def mark_ending(store: ObjectStore, cluster: str) -> Claim | None:
    """Mark a claim, so that no ``up`` goes on with the cluster; the claim as it is now, None when there is none."""
    for _ in range(MARK_TRIES):
        held = read_claim(store, cluster)
        if held is None or held[0].state == ENDING:
            return held[0] if held else None
        ending = replace(held[0], state=ENDING)
        try:
            store.put(names.spec_key(cluster), ending.body(), if_match=held[1])
        except ConflictError:
            continue
        return ending
    raise _keeps_changing(cluster)


def _keeps_changing(cluster: str) -> ConflictError:
    return ConflictError(
        f"the record of cluster {cluster} keeps changing under this command",
        hint="end the other commands that work on it, then run this one again",
    )


def demand_claim(store: ObjectStore, held: Claim) -> None:
    """Make sure that a launch is still meant to be, and to be this.

    Raises:
        ConflictError: the cluster is being taken down, its name has another holder by now, or somebody has changed its
            spec: their command goes on with it, this one must not work against it.
    """
    found = read_claim(store, held.cluster)
    if found is None or found[0].launch != held.launch or found[0].state == ENDING:
        raise _ending(held)
    if found[0].spec != held.spec:
        raise spec_changed(found[0], held)


def next_attempt(store: ObjectStore, held: Claim) -> Claim:
    """Count one more attempt; client tokens that are made of it differ from the earlier ones."""
    found = read_claim(store, held.cluster)
    if found is None or found[0].launch != held.launch:
        return held
    counted = replace(found[0], attempt=found[0].attempt + 1)
    store.put(names.spec_key(held.cluster), counted.body(), if_match=found[1])
    return counted


def read_platform(store: ObjectStore) -> PlatformRecord:
    """What ``platform up`` wrote.

    Raises:
        NotFoundError: there is no platform in this bucket yet.
    """
    try:
        body, _ = store.get(names.PLATFORM_KEY)
    except NotFoundError as cause:
        raise NotFoundError(
            f"there is no platform in bucket {store.bucket} yet",
            hint="run `hcluster platform up`",
            reference="no-platform",
        ) from cause
    values = json.loads(body)
    values |= {key: tuple(values[key]) for key in ("network", "subnets")}
    return PlatformRecord(**values)


def write_platform(store: ObjectStore, record: PlatformRecord) -> None:
    """Replace the platform's record."""
    store.put(names.PLATFORM_KEY, json.dumps(asdict(record), sort_keys=True, indent=1).encode())


def resolve_release(store: ObjectStore, channel: str) -> str:
    """The digest that a Puppet channel points to, checked to be there.

    Raises:
        NotFoundError: the channel or its release does not exist.
    """
    try:
        body, _ = store.get(names.channel_key(channel))
    except NotFoundError as cause:
        raise NotFoundError(
            f"the Puppet channel {channel} has no release in bucket {store.bucket}",
            hint=f"run `hcluster puppet publish --channel {channel}`",
            reference="no-release",
        ) from cause
    digest = str(json.loads(body)["digest"])
    if not any(True for _ in store.list(names.release_key(digest))):
        raise NotFoundError(
            f"channel {channel} points to release {digest[:12]}, which is not in bucket {store.bucket}",
            hint=f"run `hcluster puppet publish --channel {channel}`",
            reference="no-release",
        )
    return digest
