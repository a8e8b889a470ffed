"""The phases of a launch as bars of text."""

from __future__ import annotations

from collections.abc import Sequence

from hcluster.cli.output.render import clean, plain
from hcluster.plan.timings import NodeTimings, Span, Timings, slowest

_WIDTH = 48
_PHASE, _BESIDE = "█", "▒"


def timings_text(found: Timings) -> str:
    """Of each group the node that was ready last: its phases one after the other, and what ran beside them."""
    ready = sum(node.ready is not None for node in found.nodes)
    when = f", {found.ready:.1f} s after `up` began" if found.ready is not None else ""
    lines = [f"{found.cluster}, launch {found.launch or '-'} of {plain(found.began)}"]
    lines.append(f"{ready} of {len(found.nodes)} nodes ready{when}")
    for node in slowest(found.nodes):
        lines += ["", _title(node, found.nodes), *_bars(node)]
    return "\n".join(lines)


def _title(node: NodeTimings, nodes: Sequence[NodeTimings]) -> str:
    group = [one for one in nodes if one.group == node.group]
    known = sorted(one.ready for one in group if one.ready is not None)
    count = f"{len(group)} nodes" if len(group) > 1 else "1 node"
    when = "" if not known else f", ready after {known[0]:.1f} s"
    if len(known) > 1:
        when = f", ready after {known[0]:.1f} to {known[-1]:.1f} s"
    told = "" if node.ready is not None else f"; {node.phase or 'not heard of yet'}"
    return f"{node.group}: {count}{when}; {'the last one' if len(group) > 1 else 'it'} is {node.instance}{told}"


def _bars(node: NodeTimings) -> list[str]:
    if not node.spans:
        return []
    whole = max(span.end for span in node.spans) or 1.0
    width = max(len(clean(span.name)) for span in node.spans)
    rows = [(span, _PHASE) for span in node.phases] + [(span, _BESIDE) for span in node.beside]
    head = f"  {'SECONDS'.ljust(width)}   FROM   TOOK"
    return [head, *(_row(span, mark, width, whole) for span, mark in rows)]


def _row(span: Span, mark: str, width: int, whole: float) -> str:
    left = round(span.begin / whole * _WIDTH)
    long = max(1, round((span.end - span.begin) / whole * _WIDTH))
    bar = " " * min(left, _WIDTH - 1) + mark * min(long, _WIDTH)
    return f"  {clean(span.name).ljust(width)} {span.begin:6.1f} {span.end - span.begin:6.1f}  {bar}"
