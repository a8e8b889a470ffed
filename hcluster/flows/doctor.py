"""Look at everything that an ``up`` needs, and say how to cure what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from hcluster.errors import DeniedError, HclusterError, NotFoundError
from hcluster.flows import archives
from hcluster.flows.context import Context
from hcluster.flows.dumps import CHECK, look_at_dumps
from hcluster.flows.gather import gather
from hcluster.flows.launch import resolve_image
from hcluster.flows.platform import network
from hcluster.flows.reach import master
from hcluster.flows.records import read_platform, resolve_release
from hcluster.model import names
from hcluster.model.views import Finding
from hcluster.plan import callers, checkup
from hcluster.spec.cluster import ClusterSpec

TOOLS: Mapping[str, str] = {
    "packer": "`hcluster ami bake`",
    "puppet": "`hcluster puppet publish`",
    "mvn": "`hcluster ami bake`",
}
"""Programs that verbs call, and which verbs."""
Check = Callable[[], str | Finding | list[Finding]]


def doctor(
    ctx: Context, spec: ClusterSpec | None = None, *, installed: Callable[[str], object] = lambda _: True
) -> list[Finding]:
    """One finding a check, in the order in which an ``up`` would meet them; nothing is changed, nothing raised.

    Args:
        ctx: the platform and the caller.
        spec: a cluster that is to fit as well.
        installed: tells whether a program is there, such as ``shutil.which``.
    """
    checks: list[tuple[str, Check]] = [
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
        (CHECK, lambda: look_at_dumps(ctx)),
        (archives.CHECK, lambda: archives.look_at_archives(ctx)),
    ]
    if spec:
        checks.append(("team", lambda: _team(ctx, spec)))
    checks += [
        ("clock", lambda: checkup.clock(ctx.account.clock_offset())),
        ("bucket's policy", lambda: _bucket_kept(ctx)),
        ("network paths", lambda: _paths(ctx, spec)),
        ("quotas", lambda: _quotas(ctx, spec)),
        ("image's age", lambda: _image_age(ctx, spec)),
        ("release's age", lambda: _release_age(ctx, spec)),
        ("your rights", lambda: _permissions(ctx)),
        ("local packages", lambda: _tools(installed)),
    ]
    # Each check is a few calls that wait for answers: side by side they take as long as the slowest.
    found = gather([partial(_findings, name, check) for name, check in checks])
    return [finding for findings in found for finding in findings]


def _findings(name: str, check: Check) -> list[Finding]:
    try:
        found = check()
    except DeniedError as cause:
        # Not to be allowed to look is no fault of what was to be looked at, unless it is the first thing of all.
        essential = name in ("credentials", "bucket", "network", "image", "release", "platform")
        return [Finding(name, ok=not essential, message=cause.message, cure=cause.hint, warning=True)]
    except HclusterError as cause:
        return [Finding(name, ok=False, message=cause.message, cure=cause.hint)]
    if isinstance(found, str):
        return [Finding(name, ok=True, message=found)]
    return found if isinstance(found, list) else [found]


def _bucket_kept(ctx: Context) -> Finding:
    return checkup.bucket(ctx.store.bucket, ctx.account.bucket(ctx.store.bucket), ctx.platform.region)


def _paths(ctx: Context, spec: ClusterSpec | None) -> Finding:
    subnets = ctx.account.subnets(network(ctx)[2])
    return checkup.addresses(subnets, sum(spec.wanted().values()) if spec else 1)


def _quotas(ctx: Context, spec: ClusterSpec | None) -> list[Finding]:
    wanted: Mapping[str, int] = {}
    if spec:
        types = {one for group in spec.groups().values() if group.count for one in group.types}
        wanted = checkup.vcpus_wanted(spec, ctx.account.vcpus(sorted(types)))
    return checkup.quotas(ctx.account.vcpu_quotas(), wanted)


def _image_age(ctx: Context, spec: ClusterSpec | None) -> Finding:
    image = ctx.images.image(resolve_image(ctx, spec.image if spec else ctx.platform.images.name))
    made = datetime.fromisoformat(image.created).timestamp()
    cure = "run `hcluster ami bake`; with the same inputs nothing is baked, with --force a new one"
    lacks = "the security updates since then"
    return checkup.age("image's age", image.name, ctx.clock.now() - made, checkup.OLD_IMAGE_DAYS, cure, lacks)


def _release_age(ctx: Context, spec: ClusterSpec | None) -> Finding:
    channel = spec.puppet.channel if spec else ctx.platform.puppet.channel
    digest = resolve_release(ctx.store, channel)
    published = max(at for _, at in ctx.store.list(names.release_key(digest)))
    cure = f"if the code has changed, `hcluster puppet publish --channel {channel}`"
    what, lacks = f"release {digest[:12]}", "whatever was changed in the Puppet code since then"
    return checkup.age("release's age", what, ctx.clock.now() - published, checkup.OLD_RELEASE_DAYS, cure, lacks)


def _permissions(ctx: Context) -> list[Finding]:
    """A finding a group of verbs; IAM is asked each question once, though groups share many."""
    platform = ctx.platform
    scope = callers.Scope(
        platform=platform.name,
        bucket=platform.bucket,
        region=platform.region,
        account=ctx.compute.caller()[0],
        ssh_user=platform.network.ssh_user,
    )
    asked = {group: list(callers.questions(group, scope)) for group in callers.VERBS}
    unique: list[callers.Question] = []
    for one in (one for questions in asked.values() for one in questions):
        if one not in unique:
            unique.append(one)
    answers = gather([partial(ctx.account.refused, one.actions, one.resources, one.context) for one in unique])
    findings = []
    for group, questions in asked.items():
        refused = [action for one in questions for action in answers[unique.index(one)]]
        actions = {action for one in questions for action in one.actions}
        findings.append(checkup.permissions(group, callers.VERBS[group], len(actions), list(dict.fromkeys(refused))))
    return findings


def _tools(installed: Callable[[str], object]) -> Finding:
    return checkup.tools({name: verb for name, verb in TOOLS.items() if not installed(name)})


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
