"""What all commands that break something share: asking the cloud, and telling what is broken and how to undo it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hcluster.cli.flow import state_of
from hcluster.cli.output.render import clean, emit, table
from hcluster.errors import UsageError

if TYPE_CHECKING:
    from hcluster.cli.config import CliState

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Which local cloud; several run side by side.")]
For = Annotated[str, typer.Option("--for", metavar="DURATION", help="End it by itself after 30s, 5m, 2h.")]
Nodes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NODE]...", help="Instance ids, private DNS names or addresses.", show_default=False),
]
Cluster = Annotated[str, typer.Option("--cluster", metavar="NAME", help="Nodes of this cluster instead.")]
Group = Annotated[
    str, typer.Option("--group", "--role", "-g", metavar="GROUP", help="Of the cluster, only master, core or task.")
]
Count = Annotated[int, typer.Option("--count", min=0, help="So many of them; 0: all.")]

Verb = Callable[..., Mapping[str, Any]]
"""From a command's own parameters to what the cloud is asked for."""
_OF_NODES = {"nodes": (Nodes, None), "cluster": (Cluster, ""), "group": (Group, ""), "count": (Count, 0)}
_OF_ALL = {"lasting": (For, ""), "name": (Name, "default")}


def rule(verb: Verb) -> Callable[..., None]:
    """A command that breaks something of the API: its verb says how, ``--for`` and ``--name`` are the same for all."""

    def run(ctx: typer.Context, found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        arguments = {"values": dict(found), "seconds": seconds(given["lasting"])}
        show(ctx, given["name"], ask(ctx, given["name"], verb.__name__, arguments))

    return _command(verb, run, _OF_ALL)


def on_nodes(verb: Verb) -> Callable[..., None]:
    """A command that breaks nodes: its verb gets ``--for`` as ``lasting``, and may ask for another ``command``."""

    def run(ctx: typer.Context, found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        asked = {"command": verb.__name__, **target(given), **found}
        show(ctx, given["name"], ask(ctx, given["name"], asked.pop("command"), asked))

    return _command(verb, run, {**_OF_NODES, **_OF_ALL}, hand_over=("lasting",))


def killing(verb: Verb) -> Callable[..., None]:
    """The command that kills nodes: spot instances do not come back, so that not all of it can be undone."""

    def run(ctx: typer.Context, _found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        done = ask(ctx, given["name"], verb.__name__, target(given))
        there = {one["effect"]["instance_id"] for one in done["faults"]}
        gone = [instance for instance in done["killed"] if instance not in there]
        lines = [f"{instance} is killed: a spot instance, which does not come back" for instance in gone]
        lines += [line(one, given["name"]) for one in done["faults"]]
        emit(state_of(ctx), {"killed": done["killed"], "faults": list(map(view, done["faults"]))}, "\n".join(lines))

    return _command(verb, run, {**_OF_NODES, "name": _OF_ALL["name"]})


def _command(
    verb: Verb,
    run: Callable[[typer.Context, Mapping[str, Any], Mapping[str, Any]], None],
    shared: Mapping[str, tuple[Any, Any]],
    hand_over: Sequence[str] = (),
) -> Callable[..., None]:
    """The command of a verb: its own parameters, then the shared ones; of these the verb gets what it asks for."""
    own, both = inspect.signature(verb, eval_str=True).parameters, shared.items()
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(one.replace(kind=keyword) for one in own.values() if one.name not in hand_over),
        *(inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in both),
    ]

    def command(**values: Any) -> None:
        ctx = values.pop("ctx")
        run(ctx, verb(**{name: values[name] for name in own}), values)

    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def target(given: Mapping[str, Any]) -> dict[str, Any]:
    """Which nodes are meant. Raises UsageError when nothing says so."""
    if not given["nodes"] and not given["cluster"]:
        raise UsageError("nothing says which nodes are meant", hint="name them, or use --cluster NAME")
    return {**{key: given[key] for key in ("cluster", "group", "count")}, "nodes": given["nodes"] or []}


def ask(ctx: typer.Context, name: str, command: str, arguments: Mapping[str, Any]) -> Any:
    """Ask a running cloud. Raises LocalCloudError."""
    from hcluster.cli.config import state_folder
    from hcluster.localcloud import channel
    from hcluster.localcloud.settings import derive

    return channel.ask(derive(name, state_folder()), command, {**arguments, "by": _who(state_of(ctx))})


def faults(name: str) -> list[dict[str, Any]]:
    """What is broken in a running cloud. Raises LocalCloudError when it cannot be asked."""
    from hcluster.cli.config import state_folder
    from hcluster.localcloud import channel
    from hcluster.localcloud.settings import derive

    return [view(one) for one in channel.ask(derive(name, state_folder()), "list", {}, timeout=10)]


def show(ctx: typer.Context, name: str, rules: Sequence[Mapping[str, Any]]) -> None:
    """Print what is broken now."""
    emit(state_of(ctx), [view(one) for one in rules], "\n".join(line(one, name) for one in rules))


def faults_table(rules: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """One line a fault."""
    rows = [
        (one["id"], one["effect"]["kind"], one["text"], str(one["hits"]), one["by"], _left(one, now)) for one in rules
    ]
    return table(("fault", "kind", "what is broken", "felt", "by", "left"), rows, empty="")


def line(one: Mapping[str, Any], name: str) -> str:
    """What is broken, until when, and how to undo it."""
    end = one["until"] or one["effect"].get("at")
    when = f" (until {_moment(end):%H:%M:%S} UTC)" if end else ""
    return f"{one['id']}: {clean(one['text'])}{when}\n  undo: hcluster local undo {one['id']}{named(name)}"


def named(name: str) -> str:
    """The option that names a cloud, where it is needed."""
    return "" if name == "default" else f" --name {name}"


def view(one: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON shows it: times as text; no end is null."""
    return {**one, "made": _moment(one["made"]), "until": _moment(one["until"]) if one["until"] else None}


def seconds(text: str) -> float:
    """Seconds of a duration: 500ms, 30s, 5m, 2h, 1d; a number alone is seconds, nothing is 0."""
    if not text:
        return 0.0
    match = _DURATION.fullmatch(text)
    if not match:
        raise UsageError(f"'{text}' is no duration", hint="write a number and a unit: 500ms, 30s, 5m, 2h, 1d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _left(one: Mapping[str, Any], now: datetime) -> str:
    end = one["until"] or one["effect"].get("at") or None
    if end is None:
        return "until undone"
    moment = end if isinstance(end, datetime) else _moment(end)
    return f"{max(0, round((moment - now).total_seconds()))}s"


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _who(state: CliState) -> str:
    import getpass
    import os

    return state.user or os.environ.get("SUDO_USER") or getpass.getuser()
