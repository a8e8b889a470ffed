"""Launch the missing nodes of a cluster (or of the platform): configuration, interface, templates, fleets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hcluster.errors import CapacityError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.records import resolve_release
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.launch import Disk, FleetRequest, FleetResult, TemplateRequest
from hcluster.model.node import Market
from hcluster.model.told import Told
from hcluster.model.user_data import UserData
from hcluster.plan.words import many


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """One group of a launch: what is missing of it and of what it may be made."""

    group: str
    role: str
    missing: int
    types: tuple[str, ...]
    market: Market
    disks: tuple[Disk, ...]
    alive: tuple[str, ...]
    """Ids of the nodes that are there already."""
    known: tuple[str, ...] = ()
    """Ids of all nodes that this group ever had, as far as the cloud still tells."""
    interface: str = ""
    made: str = ""
    """The value of ``names.TAG_MADE``; "" for none."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all groups of a launch stand on."""

    cluster: str
    launch: str
    image: str
    profile: str
    security_group: str
    subnets: tuple[str, ...]
    release: str
    """Digest of the Puppet release."""
    tags: Mapping[str, str]
    attempt: int = 0
    expires_at: int = 0
    """Epoch second at which the nodes end themselves, 0 for never."""


def resolve_image(ctx: Context, wanted: str) -> str:
    """An image id from an id, or from the name of a family: its newest image.

    Raises:
        NotFoundError: there is none.
    """
    if wanted.startswith("ami-"):
        return ctx.images.image(wanted).id
    tags = {names.TAG_PLATFORM: ctx.platform.name, names.TAG_IMAGE_NAME: wanted}
    found = [image for image in ctx.images.images(tags) if image.state == "available"]
    if not found:
        raise NotFoundError(
            f"there is no image {wanted} in {ctx.platform.region}",
            hint=f"run `hcluster ami bake --image {wanted}`",
            reference="no-image",
        )
    return found[0].id


def pin_release(ctx: Context, channel: str) -> str:
    """The digest that the channel names now."""
    return resolve_release(ctx.store, channel)


def packed(config: Mapping[str, object]) -> tuple[bytes, str]:
    """The bytes of a configuration, and their SHA-256 (hex)."""
    body = json.dumps(config, sort_keys=True).encode()
    return body, hashlib.sha256(body).hexdigest()


def told(config: Mapping[str, object], release: str) -> Told:
    """What nodes with this configuration and release are told to be."""
    return Told(packed(config)[1], release)


def write_config(ctx: Context, ground: Ground, config: Mapping[str, object]) -> tuple[str, str]:
    """Store what all nodes of the launch read at boot; (key, SHA-256)."""
    body, digest = packed(config)
    key = names.node_config_key(ground.cluster, ground.launch, digest)
    ctx.store.put(key, body)
    return key, digest


def client_token(ground: Ground, plan: GroupPlan) -> str:
    """The same for the same situation, so that a repeated call launches nothing twice; at most 64 characters.

    A call that follows a shortage, or the end of a node, is another situation: the same token would only bring back
    the earlier answer.
    """
    situation = (plan.group, str(plan.missing), plan.interface, str(ground.attempt), *sorted(plan.known))
    text = "\n".join((ground.cluster, ground.launch, *situation))
    return f"hc-{hashlib.sha256(text.encode()).hexdigest()[:48]}"


def template_request(ctx: Context, ground: Ground, plan: GroupPlan, config: tuple[str, str]) -> TemplateRequest:
    """The launch template of a group."""
    user_data = UserData(
        platform=ctx.platform.name,
        cluster=ground.cluster,
        group=plan.group,
        role=plan.role,
        launch=ground.launch,
        region=ctx.platform.region,
        bucket=ctx.store.bucket,
        s3_endpoint=ctx.store.endpoint(),
        config_key=config[0],
        config_sha256=config[1],
        release_key=names.release_key(ground.release),
        release_sha256=ground.release,
        expires_at=ground.expires_at,
        disks=len(plan.disks),
    )
    return TemplateRequest(
        name=names.resource_name(ctx.platform.name, ground.cluster, plan.group),
        image=ground.image,
        instance_profile=ground.profile,
        security_groups=(ground.security_group,),
        user_data=user_data.render(),
        tags={
            **ground.tags,
            names.TAG_TOLD: Told(config[1], ground.release).tag(),
            **({names.TAG_MADE: plan.made} if plan.made else {}),
            names.TAG_GROUP: plan.group,
            names.TAG_ROLE: plan.role,
            "Name": f"{ground.cluster}-{plan.group}",
        },
        interface=plan.interface,
        disks=plan.disks,
        # All clusters need the platform's node: switched off by mistake, it can be started again as it was.
        end_with_shutdown=ground.cluster != names.PLATFORM_CLUSTER,
    )


def launch(ctx: Context, ground: Ground, plans: Sequence[GroupPlan], config: Mapping[str, object]) -> list[str]:
    """Launch what is missing, one fleet a group, side by side; ids of all nodes, old and new.

    Raises:
        CapacityError: a group got fewer nodes than it misses; what was launched stays.
    """
    stored = write_config(ctx, ground, config)
    missing = [plan for plan in plans if plan.missing]
    total = sum(plan.missing for plan in missing)
    if missing:
        ctx.report(Progress("launch", f"launching {many(total, 'node')}", 0, total))

    def start(plan: GroupPlan) -> FleetResult:
        request = template_request(ctx, ground, plan, stored)
        template = ctx.compute.ensure_template(request)
        return ctx.compute.create_fleet(
            FleetRequest(
                template=template,
                count=plan.missing,
                types=plan.types,
                subnets=() if plan.interface else ground.subnets,
                market=plan.market,
                client_token=client_token(ground, plan),
                tags=request.tags,
            )
        )

    results = gather([lambda plan=plan: start(plan) for plan in missing])  # type: ignore[misc]
    launched = [instance for result in results for instance in result.instances]
    short = [
        (plan, result) for plan, result in zip(missing, results, strict=True) if len(result.instances) < plan.missing
    ]
    if short:
        raise _shortage(ground, short)
    if missing:
        ctx.report(Progress("launch", f"launched {many(len(launched), 'node')}", total, total, "ok"))
    return [*(name for plan in plans for name in plan.alive), *launched]


def _shortage(ground: Ground, short: Sequence[tuple[GroupPlan, FleetResult]]) -> CapacityError:
    lines = [
        f"{plan.group}: {len(result.instances)} of {plan.missing} nodes; {code}: {message}"
        for plan, result in short
        for code, message in (result.errors or (("", "no reason given"),))
    ]
    return CapacityError(
        f"the cloud did not launch all nodes of cluster {ground.cluster}",
        context="\n".join(dict.fromkeys(lines)),
        hint="name more instance types in the group's `types`, or `market: on-demand`, and run the same `up` again",
    )
