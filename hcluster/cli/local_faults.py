"""``hcluster local`` breaks things on purpose, shows what is broken and undoes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hcluster.cli.flow import state_of
from hcluster.cli.render import clean, emit, table
from hcluster.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hcluster.cli.config import CliState

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

Name = Annotated[str, typer.Option("--name", help="Which local cloud; several run side by side.")]
Nodes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NODE]...", help="Instance ids, private DNS names or addresses.", show_default=False),
]
Cluster = Annotated[str, typer.Option("--cluster", metavar="NAME", help="Nodes of this cluster instead.")]
Group = Annotated[
    str, typer.Option("--group", "--role", "-g", metavar="GROUP", help="Of the cluster, only master, core or task.")
]
Count = Annotated[int, typer.Option("--count", min=0, help="So many of them; 0: all.")]
For = Annotated[str, typer.Option("--for", metavar="DURATION", help="End it by itself after 30s, 5m, 2h.")]
Action = Annotated[
    str, typer.Argument(metavar="ACTION", help="ec2:RunInstances, s3:Get*, ec2:*, *", show_default=False)
]
Principal = Annotated[
    str, typer.Option("--principal", metavar="ARN", help="Only calls of these callers; * is a wildcard.")
]


def interrupt(
    ctx: typer.Context,
    nodes: Nodes = None,
    cluster: Cluster = "",
    group: Group = "",
    count: Count = 0,
    notice: Annotated[str, typer.Option("--notice", metavar="DURATION", help="From the notice to the end.")] = "2m",
    reason: Annotated[
        Literal["capacity", "price"], typer.Option("--reason", help="What EC2 names as the reason.")
    ] = "capacity",
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="Send only the recommendation to rebalance; nothing is interrupted.")
    ] = False,
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Interrupt spot instances, with notice.

    The metadata service and EventBridge tell it; then the instance is terminated, or stopped if its request says so.

    \b
    Examples:
      hcluster local interrupt i-0123456789abcdef0
      hcluster local interrupt --cluster flights --group core --count 1 --notice 30s
      hcluster local interrupt --cluster flights --rebalance
    """
    target = _target(nodes, cluster, group, count)
    if rebalance:
        _show(ctx, name, _ask(ctx, name, "rebalance", {**target, "seconds": _seconds(lasting)}))
        return
    if lasting:
        raise UsageError("an interruption ends with its instance: --for goes with --rebalance")
    why = "price" if reason == "price" else "no-capacity"
    _show(ctx, name, _ask(ctx, name, "interrupt", {**target, "notice": _seconds(notice), "reason": why}))


def kill(
    ctx: typer.Context,
    nodes: Nodes = None,
    cluster: Cluster = "",
    group: Group = "",
    count: Count = 0,
    name: Name = "default",
) -> None:
    """Kill nodes, as when their host fails.

    There is no shutdown and no notice. On-demand instances become stopped, and `undo` starts them; spot instances
    become terminated.

    \b
    Examples:
      hcluster local kill i-0123456789abcdef0
      hcluster local kill --cluster flights --group core --count 1
    """
    done = _ask(ctx, name, "kill", _target(nodes, cluster, group, count))
    there = {rule["effect"]["instance_id"] for rule in done["faults"]}
    gone = [instance for instance in done["killed"] if instance not in there]
    lines = [f"{instance} is killed: a spot instance, which does not come back" for instance in gone]
    lines += [_line(rule, name) for rule in done["faults"]]
    emit(state_of(ctx), {"killed": done["killed"], "faults": [_view(r) for r in done["faults"]]}, "\n".join(lines))


def freeze(
    ctx: typer.Context,
    nodes: Nodes = None,
    cluster: Cluster = "",
    group: Group = "",
    count: Count = 0,
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Freeze nodes: all their processes stop.

    Connections stay open, and nothing answers.

    \b
    Examples:
      hcluster local freeze --cluster flights --group core --count 1 --for 30s
      hcluster local freeze ip-10-64-16-5.ec2.internal
    """
    target = _target(nodes, cluster, group, count)
    _show(ctx, name, _ask(ctx, name, "freeze", {**target, "seconds": _seconds(lasting)}))


def partition(
    ctx: typer.Context,
    nodes: Nodes = None,
    cluster: Cluster = "",
    group: Group = "",
    count: Count = 0,
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Cut nodes off the network.

    Every packet from and to them is dropped.

    \b
    Examples:
      hcluster local partition --cluster flights --group core --count 1 --for 2m
      hcluster local partition i-0123456789abcdef0
    """
    target = _target(nodes, cluster, group, count)
    _show(ctx, name, _ask(ctx, name, "partition", {**target, "seconds": _seconds(lasting)}))


def shortage(
    ctx: typer.Context,
    instance_type: Annotated[str, typer.Argument(metavar="[TYPE]", help="m5.large, m5.*, *")] = "*",
    zone: Annotated[str, typer.Option("--zone", help="us-east-1a; * is a wildcard.")] = "*",
    market: Annotated[Literal["any", "spot", "on-demand"], typer.Option("--market", help="Which market.")] = "any",
    left: Annotated[int, typer.Option("--left", min=0, help="How many more instances can still be had.")] = 0,
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Let instance types run short.

    Launches get InsufficientInstanceCapacity, fleets an error for each of their pools that it is about.

    \b
    Examples:
      hcluster local shortage m5.large --zone us-east-1a
      hcluster local shortage "m5.*" --market spot --left 2 --for 10m
    """
    values = {"instance_type": instance_type, "zone": zone, "market": market, "left": left}
    _break(ctx, name, "shortage", values, lasting)


def throttle(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="[ACTION]", help="ec2:RunInstances, s3:Get*, ec2:*, *")] = "",
    rate: Annotated[
        float, typer.Option("--rate", min=0, max=1_000_000, help="Requests a second, for each action.")
    ] = 1,
    burst: Annotated[float, typer.Option("--burst", min=0, help="Requests at once before that.")] = 1,
    as_aws: Annotated[bool, typer.Option("--as-aws", help="All of EC2, by the limits that AWS documents.")] = False,
    principal: Principal = "*",
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Throttle calls with a token bucket.

    Each service says it as AWS does: RequestLimitExceeded, SlowDown, Throttling, ThrottlingException.

    \b
    Examples:
      hcluster local throttle "ec2:Describe*" --rate 2 --burst 10
      hcluster local throttle "s3:*" --rate 0 --burst 0 --for 30s
      hcluster local throttle --as-aws
    """
    if bool(action) == as_aws:
        raise UsageError("name the action to throttle, or --as-aws")
    values = {"action": action or "ec2:*", "rate": rate, "burst": burst, "principal": principal, "as_aws": as_aws}
    _break(ctx, name, "throttle", values, lasting)


def error(
    ctx: typer.Context,
    action: Action,
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="InternalError, InsufficientInstanceCapacity, …", show_default=False)
    ],
    status: Annotated[int, typer.Option("--status", help="HTTP status; 0: what goes with the code.")] = 0,
    message: Annotated[str, typer.Option("--message", help="Text of the error.")] = "",
    times: Annotated[int, typer.Option("--times", min=0, help="Only the first so many calls; 0: all.")] = 0,
    probability: Annotated[float, typer.Option("--probability", help="How likely each call fails, 0 to 1.")] = 1,
    after: Annotated[
        bool, typer.Option("--after", help="The call takes effect, and its answer is lost: tests client tokens.")
    ] = False,
    principal: Principal = "*",
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Let calls fail.

    \b
    Examples:
      hcluster local error ec2:CreateFleet InternalError --times 1 --after
      hcluster local error "s3:PutObject" SlowDown --probability 0.2 --for 5m
      hcluster local error ec2:RunInstances VcpuLimitExceeded --message "You have requested more vCPU capacity …"
    """
    values = {
        "action": action,
        "code": code,
        "status": status,
        "message": message,
        "times": times,
        "probability": probability,
        "after": after,
        "principal": principal,
    }
    _break(ctx, name, "error", values, lasting)


def delay(
    ctx: typer.Context,
    action: Action,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="500ms, 2s", show_default=False)],
    jitter: Annotated[str, typer.Option("--jitter", metavar="DURATION", help="Up to so much more.")] = "0",
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same delays.")] = 0,
    principal: Principal = "*",
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Let calls wait before they are served.

    \b
    Examples:
      hcluster local delay "s3:*" 200ms --jitter 300ms
      hcluster local delay ec2:DescribeInstances 20s --for 2m
    """
    values = {
        "action": action,
        "seconds": _seconds(duration),
        "jitter": _seconds(jitter),
        "seed": seed,
        "principal": principal,
    }
    _break(ctx, name, "delay", values, lasting)


def lag(
    ctx: typer.Context,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="5s", show_default=False)],
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Let DescribeInstances lag behind.

    That is eventual consistency: what was launched is not there yet, what was ended still runs.

    \b
    Example:
      hcluster local lag 5s --for 10m
    """
    _break(ctx, name, "lag", {"seconds": _seconds(duration)}, lasting)


def clock(
    ctx: typer.Context,
    ahead: Annotated[str, typer.Option("--ahead", metavar="DURATION", help="The API's clock runs ahead.")] = "",
    behind: Annotated[str, typer.Option("--behind", metavar="DURATION", help="The API's clock runs behind.")] = "",
    lasting: For = "",
    name: Name = "default",
) -> None:
    """Put the API's clock wrong.

    From 15 minutes on it refuses what is signed with the true time.

    \b
    Examples:
      hcluster local clock --ahead 20m
      hcluster local clock --behind 20m --for 1m
    """
    if bool(ahead) == bool(behind):
        raise UsageError("a clock runs either --ahead or --behind")
    _break(ctx, name, "clock", {"seconds": _seconds(ahead) if ahead else -_seconds(behind)}, lasting)


def undo(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="f1, or an instance id.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Undo all faults.")] = False,
    name: Name = "default",
) -> None:
    """Undo faults. `hcluster local status` lists them.

    \b
    Examples:
      hcluster local undo f3
      hcluster local undo --all --name demo
    """
    if bool(ids) == everything:
        raise UsageError("name the faults to undo, or --all", hint=f"hcluster local status{_named(name)}")
    done = _ask(ctx, name, "undo", {"ids": ids or []})
    lines = [f"{rule['id']}: {clean(rule['result'])}" for rule in done] or ["nothing was broken"]
    emit(state_of(ctx), [_view(rule) for rule in done], "\n".join(lines))


COMMANDS = (interrupt, shortage, throttle, error, delay, lag, clock, kill, freeze, partition, undo)


def register(app: typer.Typer) -> None:
    """Add these commands to a group."""
    for command in COMMANDS:
        app.command()(command)


def faults(name: str) -> list[dict[str, Any]]:
    """What is broken in a running cloud. Raises LocalCloudError when it cannot be asked."""
    from hcluster.cli.config import state_folder
    from hcluster.localcloud import channel
    from hcluster.localcloud.settings import derive

    return [_view(rule) for rule in channel.ask(derive(name, state_folder()), "list", {}, timeout=10)]


def faults_table(rules: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """One line a fault."""
    rows = [
        (rule["id"], rule["effect"]["kind"], rule["text"], str(rule["hits"]), rule["by"], _left(rule, now))
        for rule in rules
    ]
    return table(("fault", "kind", "what is broken", "felt", "by", "left"), rows, empty="")


def _left(rule: Mapping[str, Any], now: datetime) -> str:
    end = rule["until"] or rule["effect"].get("at") or None
    if end is None:
        return "until undone"
    moment = end if isinstance(end, datetime) else datetime.fromtimestamp(end, UTC)
    return f"{max(0, round((moment - now).total_seconds()))}s"


def _break(ctx: typer.Context, name: str, kind: str, values: Mapping[str, Any], lasting: str) -> None:
    _show(ctx, name, _ask(ctx, name, kind, {"values": values, "seconds": _seconds(lasting)}))


def _ask(ctx: typer.Context, name: str, command: str, arguments: Mapping[str, Any]) -> Any:
    from hcluster.cli.config import state_folder
    from hcluster.localcloud import channel
    from hcluster.localcloud.settings import derive

    return channel.ask(derive(name, state_folder()), command, {**arguments, "by": _who(state_of(ctx))})


def _who(state: CliState) -> str:
    import getpass
    import os

    return state.user or os.environ.get("SUDO_USER") or getpass.getuser()


def _show(ctx: typer.Context, name: str, rules: Sequence[Mapping[str, Any]]) -> None:
    emit(state_of(ctx), [_view(rule) for rule in rules], "\n".join(_line(rule, name) for rule in rules))


def _line(rule: Mapping[str, Any], name: str) -> str:
    """What is broken now, until when, and how to undo it."""
    end = rule["until"] or rule["effect"].get("at")
    when = f" (until {_moment(end):%H:%M:%S} UTC)" if end else ""
    return f"{rule['id']}: {clean(rule['text'])}{when}\n  undo: hcluster local undo {rule['id']}{_named(name)}"


def _named(name: str) -> str:
    return "" if name == "default" else f" --name {name}"


def _view(rule: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON shows it: times as text; no end is null."""
    return {**rule, "made": _moment(rule["made"]), "until": _moment(rule["until"]) if rule["until"] else None}


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _target(nodes: list[str] | None, cluster: str, group: str, count: int) -> dict[str, Any]:
    if not nodes and not cluster:
        raise UsageError("nothing says which nodes are meant", hint="name them, or use --cluster NAME")
    return {"nodes": nodes or [], "cluster": cluster, "group": group, "count": count}


def _seconds(text: str) -> float:
    """Seconds of a duration: 500ms, 30s, 5m, 2h, 1d; a number alone is seconds, nothing is 0."""
    if not text:
        return 0.0
    match = _DURATION.fullmatch(text)
    if not match:
        raise UsageError(f"'{text}' is no duration", hint="write a number and a unit: 500ms, 30s, 5m, 2h, 1d")
    return float(match[1]) * _UNITS[match[2] or "s"]
