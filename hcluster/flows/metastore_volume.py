"""The volume with the metastore's database: it outlives the platform's node, and is found again by its tags."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from hcluster.errors import CloudError, ConflictError, DeadlineError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.waiting import POLL_SECONDS, platform_tag
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.platform import PlatformRecord
from hcluster.model.volume import Volume

FREE_SECONDS = 180.0
"""How long a new volume may be created, and how long one may stay attached to a node that ends."""
ATTACH_SECONDS = 180.0


def volume_tags(ctx: Context) -> dict[str, str]:
    """What tells the volume; no cluster among them, so that the end of nodes never takes it along."""
    return {**platform_tag(ctx), names.TAG_VOLUME: names.METASTORE_VOLUME}


def ensure_volume(ctx: Context, record: PlatformRecord, own: Sequence[Instance]) -> Volume:
    """The platform's volume, found by its tags or made; free, or held by a living node of ``own``.

    Raises:
        ConflictError: there are several, or another instance holds it.
        DeadlineError: it does not get free.
        CapacityError, CloudError: the cloud does not make one.
    """
    found = _find(ctx, record.metastore_volume)
    if found is None:
        found = _create(ctx, record)
    else:
        ctx.report(Progress("volume", f"volume {found.id} ({found.size_gib} GiB, {found.zone})", state="ok"))
    living = {node.id for node in own if node.alive}
    if found.holder in living:
        return found
    # Its own nodes that have ended may still be listed as its holder; anybody else's instance is asked for no more.
    if found.holder and found.holder not in {node.id for node in own}:
        raise ConflictError(
            f"volume {found.id}, which holds the metastore's tables, is attached to {found.holder}",
            hint=f"when nobody needs it there: `aws ec2 detach-volume --volume-id {found.id}`",
        )
    return _wait(ctx, found, lambda one: one.state == "available", FREE_SECONDS)


def subnet_in(ctx: Context, record: PlatformRecord, zone: str) -> str:
    """The first of the platform's subnets that is in ``zone``: volumes cannot leave theirs.

    Raises:
        NotFoundError: there is none.
    """
    zones = ctx.compute.subnet_zones(record.subnets)
    subnet = next((one for one in record.subnets if zones[one] == zone), "")
    if not subnet:
        raise NotFoundError(
            f"the metastore's volume is in {zone}, and none of the platform's subnets is: {', '.join(record.subnets)}",
            hint="name a subnet of that zone in platform.yaml: `network: {subnets: […]}`",
            reference="no-network",
        )
    return subnet


def attach(ctx: Context, volume: Volume, instance: str) -> None:
    """Attach the volume to a node as soon as that runs, and wait until it is; a node that ends is not waited for.

    Raises:
        ConflictError: somebody else attached it elsewhere, or the node is in another zone.
        DeadlineError: it is not attached in time.
    """
    end = ctx.clock.now() + ATTACH_SECONDS
    problem = ""
    while True:
        node = _node(ctx, instance)
        if node is not None and not node.alive:
            return  # why it ended is told by whoever waits for it to be ready
        if node is not None and node.zone != volume.zone:
            raise ConflictError(
                f"platform node {instance} is in {node.zone}, the metastore's volume {volume.id} in {volume.zone}",
                hint="`hcluster platform down`, which keeps the tables, then `hcluster platform up`",
            )
        now = _find(ctx, volume.id)
        if now is not None and now.holder == instance and now.attachment == "attached":
            ctx.report(Progress("volume", f"volume {volume.id} is attached to {instance}", state="ok"))
            return
        if node is not None and node.state == "running" and now is not None and now.state == "available":
            try:
                ctx.compute.attach_volume(volume.id, instance)
            except CloudError as refusal:
                # States are eventually consistent: what is shown as running or available may not be so everywhere.
                problem = refusal.message
        if ctx.clock.now() > end:
            raise DeadlineError(
                f"volume {volume.id} is not attached to platform node {instance} after {ATTACH_SECONDS:.0f} s",
                context=problem or f"volume: {now}\nnode: {node.state if node else 'not listed'}",
                hint="run the same command again",
            )
        ctx.clock.sleep(POLL_SECONDS)


def delete(ctx: Context) -> int:
    """Delete the volume with everything on it, once the node that held it has let it go; how many there were.

    Raises:
        DeadlineError: it is still held.
    """
    for volume in ctx.compute.find_volumes(volume_tags(ctx)):
        _wait(ctx, volume, lambda one: one.state in ("available", "error"), FREE_SECONDS)
    return ctx.compute.delete_volumes(volume_tags(ctx))


def _create(ctx: Context, record: PlatformRecord) -> Volume:
    size = ctx.platform.metastore.volume_gib
    zone = ctx.compute.subnet_zones(record.subnets[:1])[record.subnets[0]]
    if record.metastore_volume:
        lost = f"volume {record.metastore_volume} with the metastore's tables is gone; the last dump is restored"
        ctx.report(Progress("volume", lost, state="failed"))
    ctx.report(Progress("volume", f"making a volume of {size} GiB in {zone}"))
    # The token of a volume that was lost would only bring back its id.
    situation = f"{ctx.platform.name} {record.launch} {record.metastore_volume}"
    made = ctx.compute.create_volume(
        size_gib=size,
        zone=zone,
        client_token=f"hc-{hashlib.sha256(situation.encode()).hexdigest()[:48]}",
        tags={**volume_tags(ctx), "Name": f"{ctx.platform.name}-metastore"},
    )
    ctx.report(Progress("volume", f"volume {made.id} ({size} GiB, {zone})", state="ok"))
    return made


def _find(ctx: Context, known: str) -> Volume | None:
    found = ctx.compute.find_volumes(volume_tags(ctx))
    if len(found) <= 1:
        return found[0] if found else None
    for volume in found:
        if volume.id == known:
            return volume
    raise ConflictError(
        f"several volumes are tagged as the metastore's of platform {ctx.platform.name}: "
        f"{', '.join(one.id for one in found)}",
        hint=f"take the tag {names.TAG_VOLUME} from those that do not hold the tables: `aws ec2 delete-tags`",
    )


def _node(ctx: Context, instance: str) -> Instance | None:
    own = {**platform_tag(ctx), names.TAG_CLUSTER: names.PLATFORM_CLUSTER}
    return next((one for one in ctx.compute.instances(own, alive_only=False) if one.id == instance), None)


def _wait(ctx: Context, volume: Volume, ready: Callable[[Volume], bool], seconds: float) -> Volume:
    """Poll the volume until it is as wanted.

    Raises:
        DeadlineError: it is not so in time.
        CloudError: the cloud could not make it.
    """
    end = ctx.clock.now() + seconds
    now = volume
    while not ready(now):
        if now.state == "error":
            raise CloudError(f"volume {now.id} is broken, says the cloud", hint="see it in the EC2 console")
        if ctx.clock.now() > end:
            held = f"is still {now.attachment} to {now.holder}" if now.holder else f"is still {now.state}"
            raise DeadlineError(
                f"volume {now.id} {held} after {seconds:.0f} s",
                hint=f"if that instance has ended: `aws ec2 detach-volume --force --volume-id {now.id}`; then run the "
                "same command again",
            )
        ctx.clock.sleep(POLL_SECONDS)
        now = _find(ctx, volume.id) or now
    return now
