"""What the shell proposes for a word under way: clusters, nodes, groups and teams, quickly or not at all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from typer.core import CompletionItem  # type: ignore[attr-defined] # typer's own, without a public name

from hcluster.cli.config import CliState, resolve, state_folder
from hcluster.cli.naming import takes_a_cluster
from hcluster.errors import HclusterError
from hcluster.model.names import PLATFORM_CLUSTER
from hcluster.plan.words import many

FRESH_SECONDS = 60.0
"""How old an answer may be before the cloud is asked again."""
STALE_SECONDS = 86400.0
"""How old one may be that stands in for a cloud that does not answer."""
PATIENCE_SECONDS = 2.5
"""How long somebody who pressed Tab waits for the cloud."""
RETRY_SECONDS = 15.0
"""How long a cloud that did not answer is left alone."""
GROUPS = ("master", "core", "task")
PROGRAM = "hcluster"
VARIABLE = "_HCLUSTER_COMPLETE"
"""In the environment when the shell asks."""


@dataclass(slots=True)
class Known:
    """What there is on a platform, and when that was asked; times are epoch seconds."""

    at: float = 0.0
    tried: float = 0.0
    clusters: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each cluster with nodes, the group of each of them by its id."""
    teams: list[str] = field(default_factory=list)


def prepare(command: Any) -> None:
    """Teach a command's parameters to propose values, by what their help calls them."""
    for parameter in command.params:
        proposals: Callable[[Any], Mapping[str, str]] | None = _BY_METAVAR.get(parameter.metavar or "")
        if parameter.metavar == "NAME":
            if takes_a_cluster([parameter]):
                proposals = clusters
            elif "--team" in parameter.opts:
                proposals = teams
            elif "--cluster" in parameter.opts:
                proposals = clusters
        if proposals:
            parameter.shell_complete = partial(_proposed, proposals)
        elif "NAME:" in (parameter.metavar or ""):
            parameter.shell_complete = _places


def _places(ctx: Any, incomplete: str) -> list[CompletionItem]:
    """Where `cp` may copy to or from: a cluster once its name is begun; files are the shell's own business."""
    every = sorted(known(ctx).clusters) if incomplete else []
    return [CompletionItem(f"{name}:", help="its home folder") for name in every if name.startswith(incomplete)]


def _proposed(proposals: Callable[[Any], Mapping[str, str]], ctx: Any, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(value, help=words or None)
        for value, words in proposals(ctx).items()
        if value.startswith(incomplete)
    ]


def clusters(ctx: Any) -> dict[str, str]:
    """Clusters that have nodes, and the platform's own node where it can be meant."""
    found = known(ctx)
    every = {name: many(len(nodes), "node") for name, nodes in sorted(found.clusters.items())}
    if ctx.info_name in ("down", "resize", "wait"):
        every.pop(PLATFORM_CLUSTER, None)
    return every


def groups(_ctx: Any) -> dict[str, str]:
    """The groups of a cluster."""
    return dict.fromkeys(GROUPS, "")


def nodes(ctx: Any) -> dict[str, str]:
    """Groups, then ids of the nodes of the cluster that was named before."""
    given = ctx.params.get("name") or ctx.params.get("cluster") or ""
    found = known(ctx).clusters
    there = found.get(given) or next((one for name, one in found.items() if given and name.startswith(given)), {})
    return {**dict.fromkeys(dict.fromkeys(there.values()), "the first of them"), **there}


def teams(ctx: Any) -> dict[str, str]:
    """The platform's teams."""
    return dict.fromkeys(known(ctx).teams, "")


_BY_METAVAR = {"GROUP": groups, "NODE": nodes, "[NODE]...": nodes}


def known(ctx: Any) -> Known:
    """What there is: from the cache, or from the cloud if it answers in time. Nothing at all where that fails."""
    try:
        state = resolve(ctx.find_root().params.get("platform"), "table", os.environ)
        if state.platform_file is None or not state.platform_file.is_file():
            return Known()
        return _known(state, _cache(state.platform_file), time.time())
    except (HclusterError, OSError, ValueError):
        return Known()


def _cache(platform: Path) -> Path:
    import hashlib

    name = hashlib.sha256(f"{platform.resolve()}:{platform.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    return state_folder() / "completion" / f"{name}.json"


def _known(state: CliState, cache: Path, now: float) -> Known:
    from hcluster.cli.quickly import within

    held = _read(cache)
    if 0 <= now - held.at < FRESH_SECONDS or 0 <= now - held.tried < RETRY_SECONDS:
        return held
    asked = within(PATIENCE_SECONDS, lambda: _asked(state, now))
    if isinstance(asked, Known):
        held = asked
    else:
        held.tried = now
        if now - held.at > STALE_SECONDS:
            held.clusters = {}
    _write(cache, held)
    return held


def _asked(state: CliState, now: float) -> Known:
    """One listing of instances."""
    from hcluster.cli import wire
    from hcluster.model.names import TAG_CLUSTER, TAG_GROUP, TAG_PLATFORM

    context = wire.context(state)
    found = Known(at=now, teams=list(context.platform.teams))
    for node in context.compute.instances({TAG_PLATFORM: context.platform.name}):
        if name := node.tags.get(TAG_CLUSTER):
            found.clusters.setdefault(name, {})[node.id] = node.tags.get(TAG_GROUP, "")
    return found


def _read(cache: Path) -> Known:
    try:
        held = json.loads(cache.read_text(encoding="utf-8"))
        clusters = {str(name): dict(nodes) for name, nodes in held["clusters"].items()}
        return Known(float(held["at"]), float(held["tried"]), clusters, list(held["teams"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Known()


def _write(cache: Path, value: Known) -> None:
    """In one step, so that shells side by side do not read halves; who may not write does without."""
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = cache.with_name(f"{cache.name}.{os.getpid()}")
        fresh.write_text(json.dumps(asdict(value)), encoding="utf-8")
        fresh.replace(cache)
