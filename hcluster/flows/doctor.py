"""Look at everything that an ``up`` needs, and say how to cure what is missing."""

from __future__ import annotations

from collections.abc import Callable

from hcluster.errors import HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.launch import resolve_image
from hcluster.flows.platform import network
from hcluster.flows.reach import master
from hcluster.flows.records import read_platform, resolve_release
from hcluster.model import names
from hcluster.model.views import Finding
from hcluster.spec.cluster import ClusterSpec


def doctor(ctx: Context, spec: ClusterSpec | None = None) -> list[Finding]:
    """One finding a check, in the order in which an ``up`` would meet them; nothing is changed, nothing raised."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("credentials", lambda: _credentials(ctx)),
        ("bucket", lambda: _bucket(ctx)),
        ("network", lambda: _network(ctx)),
        ("image", lambda: f"{resolve_image(ctx, spec.image if spec else ctx.platform.images.name)} is available"),
        ("release", lambda: _release(ctx, spec)),
        (
            "platform",
            lambda: f"made for teams {_teams(ctx)}",
        ),
        ("metastore", lambda: _metastore(ctx)),
    ]
    if spec:
        checks.append(("team", lambda: _team(ctx, spec)))
    return [_finding(name, check) for name, check in checks]


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, ok=True, message=check())
    except HclusterError as cause:
        return Finding(name, ok=False, message=cause.message, cure=cause.hint)


def _credentials(ctx: Context) -> str:
    account, arn = ctx.compute.caller()
    return f"account {account} as {arn}"


def _bucket(ctx: Context) -> str:
    if not ctx.store.exists():
        raise NotFoundError(f"bucket {ctx.store.bucket} does not exist", hint="run `hcluster platform up`")
    return f"{ctx.store.bucket} may be read"


def _network(ctx: Context) -> str:
    vpc, cidrs, subnets = network(ctx)
    return f"{vpc} ({', '.join(cidrs)}) with {len(subnets)} subnets"


def _release(ctx: Context, spec: ClusterSpec | None) -> str:
    channel = spec.puppet.channel if spec else ctx.platform.puppet.channel
    return f"channel {channel} points to {resolve_release(ctx.store, channel)[:12]}"


def _metastore(ctx: Context) -> str:
    uri = read_platform(ctx.store).metastore_uri
    if not uri:
        raise NotFoundError("the platform has no metastore yet", hint="run `hcluster platform up`")
    node = master(ctx, names.PLATFORM_CLUSTER)
    host, port = uri.removeprefix("thrift://").rsplit(":", 1)
    remote = ctx.connector.connect(node, names.PLATFORM_CLUSTER)
    try:
        channel = remote.open_channel(host, int(port))
        channel.close()  # type: ignore[attr-defined]
    finally:
        remote.close()
    return f"{uri} accepts connections"


def _team(ctx: Context, spec: ClusterSpec) -> str:
    if spec.team not in read_platform(ctx.store).profiles:
        raise NotFoundError(f"team {spec.team} has no role yet", hint="run `hcluster platform up`")
    if spec.team != ctx.principal.team:
        raise NotFoundError(
            f"the spec is for team {spec.team}, you act for {ctx.principal.team}", hint=f"set HCLUSTER_TEAM={spec.team}"
        )
    return f"{spec.team} has its role and group"


def _teams(ctx: Context) -> str:
    return ", ".join(sorted(set(read_platform(ctx.store).profiles) - {names.PLATFORM_CLUSTER}))
