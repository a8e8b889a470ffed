"""``hcluster local`` breaks things on purpose, shows what is broken and undoes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from hcluster.cli.flow import state_of
from hcluster.cli.local.fault_rules import Name, ask, killing, named, on_nodes, rule, seconds, view
from hcluster.cli.output.render import clean, emit
from hcluster.errors import UsageError

Action = Annotated[
    str, typer.Argument(metavar="ACTION", help="ec2:RunInstances, s3:Get*, ec2:*, *", show_default=False)
]
Principal = Annotated[
    str, typer.Option("--principal", metavar="ARN", help="Only calls of these callers; * is a wildcard.")
]
Market = Annotated[Literal["any", "spot", "on-demand"], typer.Option("--market", help="Which market.")]
Reason = Annotated[Literal["capacity", "price"], typer.Option("--reason", help="What EC2 names as the reason.")]
Values = Mapping[str, Any]
"""What the cloud is asked for, by the names that it knows."""


@on_nodes
def interrupt(
    notice: Annotated[str, typer.Option("--notice", metavar="DURATION", help="From the notice to the end.")] = "2m",
    reason: Reason = "capacity",
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="Send only the recommendation to rebalance; nothing is interrupted.")
    ] = False,
    lasting: str = "",
) -> Values:
    """Interrupt spot instances, with notice.

    The metadata service and EventBridge tell it; then the instance is terminated, or stopped if its request says so.

    \b
    Examples:
      hcluster local interrupt i-0123456789abcdef0
      hcluster local interrupt --cluster flights --group core --count 1 --notice 30s
      hcluster local interrupt --cluster flights --rebalance
    """
    if rebalance:
        return {"command": "rebalance", "seconds": seconds(lasting)}
    if lasting:
        raise UsageError(
            "an interruption ends with its instance: --for goes with --rebalance", hint="leave one of them out"
        )
    return {"notice": seconds(notice), "reason": "price" if reason == "price" else "no-capacity"}


@killing
def kill() -> Values:
    """Kill nodes, as when their host fails.

    There is no shutdown and no notice. On-demand instances become stopped, and `undo` starts them; spot instances
    become terminated.

    \b
    Examples:
      hcluster local kill i-0123456789abcdef0
      hcluster local kill --cluster flights --group core --count 1
    """
    return {}


@on_nodes
def freeze(lasting: str = "") -> Values:
    """Freeze nodes: all their processes stop.

    Connections stay open, and nothing answers.

    \b
    Examples:
      hcluster local freeze --cluster flights --group core --count 1 --for 30s
      hcluster local freeze ip-10-64-16-5.ec2.internal
    """
    return {"seconds": seconds(lasting)}


@on_nodes
def partition(lasting: str = "") -> Values:
    """Cut nodes off the network.

    Every packet from and to them is dropped.

    \b
    Examples:
      hcluster local partition --cluster flights --group core --count 1 --for 2m
      hcluster local partition i-0123456789abcdef0
    """
    return {"seconds": seconds(lasting)}


@rule
def shortage(
    instance_type: Annotated[str, typer.Argument(metavar="[TYPE]", help="m5.large, m5.*, *")] = "*",
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE", help="us-east-1a; * is a wildcard.")] = "*",
    market: Market = "any",
    left: Annotated[int, typer.Option("--left", min=0, help="How many more instances can still be had.")] = 0,
) -> Values:
    """Let instance types run short.

    Launches get InsufficientInstanceCapacity, fleets an error for each of their pools that it is about.

    \b
    Examples:
      hcluster local shortage m5.large --zone us-east-1a
      hcluster local shortage "m5.*" --market spot --left 2 --for 10m
    """
    return {"instance_type": instance_type, "zone": zone, "market": market, "left": left}


@rule
def throttle(
    action: Annotated[str, typer.Argument(metavar="[ACTION]", help="ec2:RunInstances, s3:Get*, ec2:*, *")] = "",
    rate: Annotated[
        float, typer.Option("--rate", min=0, max=1_000_000, help="Requests a second, for each action.")
    ] = 1,
    burst: Annotated[float, typer.Option("--burst", min=0, help="Requests at once before that.")] = 1,
    as_aws: Annotated[bool, typer.Option("--as-aws", help="All of EC2, by the limits that AWS documents.")] = False,
    principal: Principal = "*",
) -> Values:
    """Throttle calls with a token bucket.

    Each service says it as AWS does: RequestLimitExceeded, SlowDown, Throttling, ThrottlingException.

    \b
    Examples:
      hcluster local throttle "ec2:Describe*" --rate 2 --burst 10
      hcluster local throttle "s3:*" --rate 0 --burst 0 --for 30s
      hcluster local throttle --as-aws
    """
    if bool(action) == as_aws:
        raise UsageError(
            "name the action to throttle, or --as-aws", hint='hcluster local throttle "ec2:Describe*" --rate 2'
        )
    return {"action": action or "ec2:*", "rate": rate, "burst": burst, "principal": principal, "as_aws": as_aws}


@rule
def error(
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
) -> Values:
    """Let calls fail.

    \b
    Examples:
      hcluster local error ec2:CreateFleet InternalError --times 1 --after
      hcluster local error "s3:PutObject" SlowDown --probability 0.2 --for 5m
      hcluster local error ec2:RunInstances VcpuLimitExceeded --message "You have requested more vCPU capacity …"
    """
    return {
        "action": action,
        "code": code,
        "status": status,
        "message": message,
        "times": times,
        "probability": probability,
        "after": after,
        "principal": principal,
    }


@rule
def delay(
    action: Action,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="500ms, 2s", show_default=False)],
    jitter: Annotated[str, typer.Option("--jitter", metavar="DURATION", help="Up to so much more.")] = "0",
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same delays.")] = 0,
    principal: Principal = "*",
) -> Values:
    """Let calls wait before they are served.

    \b
    Examples:
      hcluster local delay "s3:*" 200ms --jitter 300ms
      hcluster local delay ec2:DescribeInstances 20s --for 2m
    """
    waits = {"seconds": seconds(duration), "jitter": seconds(jitter), "seed": seed}
    return {"action": action, **waits, "principal": principal}


@rule
def lag(
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="5s", show_default=False)],
) -> Values:
    """Let DescribeInstances lag behind.

    That is eventual consistency: what was launched is not there yet, what was ended still runs.

    \b
    Example:
      hcluster local lag 5s --for 10m
    """
    return {"seconds": seconds(duration)}


@rule
def clock(
    ahead: Annotated[str, typer.Option("--ahead", metavar="DURATION", help="The API's clock runs ahead.")] = "",
    behind: Annotated[str, typer.Option("--behind", metavar="DURATION", help="The API's clock runs behind.")] = "",
) -> Values:
    """Put the API's clock wrong.

    From 15 minutes on it refuses what is signed with the true time.

    \b
    Examples:
      hcluster local clock --ahead 20m
      hcluster local clock --behind 20m --for 1m
    """
    if bool(ahead) == bool(behind):
        raise UsageError("a clock runs either --ahead or --behind", hint="hcluster local clock --ahead 20m")
    return {"seconds": seconds(ahead) if ahead else -seconds(behind)}


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
        raise UsageError("name the faults to undo, or --all", hint=f"hcluster local status{named(name)}")
    done = ask(ctx, name, "undo", {"ids": ids or []})
    lines = [f"{one['id']}: {clean(one['result'])}" for one in done] or ["nothing was broken"]
    emit(state_of(ctx), [view(one) for one in done], "\n".join(lines))


COMMANDS = (interrupt, shortage, throttle, error, delay, lag, clock, kill, freeze, partition, undo)


def register(app: typer.Typer) -> None:
    """Add these commands to a group."""
    for command in COMMANDS:
        app.command()(command)
