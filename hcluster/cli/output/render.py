"""Values as tables for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from hcluster.cli.config import CliState
    from hcluster.model.views import ClusterView, DownResult, Finding, NodeView

_GAP = "  "
_NARROWEST = 12
"""Letters that a column of a table keeps which does not fit on the terminal."""
_WORD = 20
"""Longest word that is not broken for that: ids of instances stay whole."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"([-+]?\d+(\.\d+)?( to [-+]?\d+(\.\d+)?)?|unknown)%?")
"""A number as tables hold it, or the range that it lies in."""
_GREEN, _YELLOW, _RED = 32, 33, 31
_COLOURS = {
    **dict.fromkeys(("ready", "running", "ok"), _GREEN),
    **dict.fromkeys(("starting", "degraded", "ending", "warning"), _YELLOW),
    "failed": _RED,
}
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def emit(state: CliState, value: object, text: str) -> None:
    """Print ``value`` as JSON when the caller asked for it, else ``text``."""
    sys.stdout.write(to_json(value) if state.output == "json" else text.rstrip("\n"))
    sys.stdout.write("\n")
    # Here a closed pipe is still an error that can be handled; at the end of the process it is noise.
    sys.stdout.flush()


def to_json(value: object) -> str:
    """JSON of dataclasses, times (ISO 8601, UTC) and what they hold."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False)


def plain(value: object) -> object:
    """The same as dictionaries, lists and text; a dataclass's properties are not part of it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value) if isinstance(value, Path) else value


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "none") -> str:
    """Aligned text, one row a line; nothing is cut, so that it can be piped on. ``empty`` stands for no rows.

    A column of numbers stands at its right end, so that they compare. On a terminal that is too narrow, cells of wide
    columns go on in the next line.
    """
    body = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
    if not body:
        return empty
    head = [column.upper() for column in columns]
    widths = _fitting([head, *body])
    numbers = [_are_numbers([row[index] for row in body]) for index in range(len(head))]
    return "\n".join(_line(row, widths, numbers) for cells in [head, *body] for row in _broken(cells, widths))


def _fitting(rows: Sequence[Sequence[str]]) -> list[int]:
    """Widths with which a table fits on the terminal: the widest columns give way, but for the first, whose names are
    there to be copied. As wide as their cells without a terminal, or where that is not enough."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    if not sys.stdout.isatty():
        return widths
    import shutil

    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - shutil.get_terminal_size().columns
    found, least = list(widths), [_least(cells) for cells in zip(*rows, strict=True)]
    while excess > 0:
        giving = [column for column in range(1, len(found)) if found[column] > least[column]]
        if not giving:
            return widths
        found[max(giving, key=found.__getitem__)] -= 1
        excess -= 1
    return found


def _least(cells: Iterable[str]) -> int:
    longest = max((len(word) for cell in cells for word in cell.split()), default=0)
    return max(_NARROWEST, longest if longest <= _WORD else 0)


def _broken(cells: Sequence[str], widths: Sequence[int]) -> Iterable[Sequence[str]]:
    """A row as the lines that it takes."""
    if all(len(cell) <= width for cell, width in zip(cells, widths, strict=True)):
        return [cells]
    import textwrap
    from itertools import zip_longest

    parts = [
        [cell] if len(cell) <= width else textwrap.wrap(cell, width, break_on_hyphens=False)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return zip_longest(*parts, fillvalue="")


def _are_numbers(cells: Sequence[str]) -> bool:
    told = [cell for cell in cells if cell not in ("", "-")]
    return bool(told) and all(_NUMBER.fullmatch(cell) for cell in told)


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, numbers, strict=True)
    ]
    return _GAP.join(_coloured(cell) for cell in padded).rstrip()


def _coloured(cell: str) -> str:
    code = _COLOURS.get(cell.strip())
    return f"\x1b[{code}m{cell}\x1b[0m" if code and colours(sys.stdout) else cell


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colours (https://no-color.org)."""
    import os

    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def clean(text: str) -> str:
    """Without control characters: names and messages of others may not drive the terminal."""
    return _CONTROL.sub("", text)


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the two largest units: 42s, 3m05s, 2h10m, 5d03h; "-" for never."""
    if moment is None:
        return "-"
    seconds = max(0, int((now - moment).total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours:02d}h"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{seconds % 60:02d}s" if minutes else f"{seconds}s"


def cluster_value(view: ClusterView) -> dict[str, object]:
    """A cluster as JSON shows it: all of the view, and how many nodes are ready."""
    value = plain(view)
    assert isinstance(value, dict)  # noqa: S101 - for the type checker: a view is a dataclass
    return {**value, "ready_nodes": view.ready_nodes}


def clusters_table(views: Sequence[ClusterView], now: datetime) -> str:
    """One line a cluster."""
    rows = [
        (
            view.name,
            view.team,
            view.owner,
            view.state,
            f"{view.ready_nodes}/{sum(view.wanted.values()) or len(view.nodes)}",
            age(view.created, now),
            view.master or "-",
        )
        for view in views
    ]
    columns = ("name", "team", "owner", "state", "ready", "age", "master")
    return table(columns, rows, empty="no clusters; `hcluster up FILE` starts one")


def cluster_text(view: ClusterView, now: datetime) -> str:
    """One cluster in full."""
    wanted = ", ".join(f"{count} {group}" for group, count in view.wanted.items() if count) or "-"
    facts = [
        ("name", view.name),
        ("state", view.state),
        ("team", view.team),
        ("owner", view.owner),
        ("launch", view.launch or "-"),
        ("started", f"{plain(view.created)} ({age(view.created, now)} ago)" if view.created else "-"),
        ("lifetime", _lifetime(view)),
        ("master", view.master or "-"),
        ("wanted", wanted),
        ("ready", f"{view.ready_nodes} of {sum(view.wanted.values()) or len(view.nodes)} nodes"),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [f"{name.ljust(width)}{_GAP}{_coloured(clean(value))}" for name, value in facts]
    return "\n".join([*lines, "", nodes_table(view.nodes, now)])


def _lifetime(view: ClusterView) -> str:
    """As the spec has it, with the moment of its end."""
    from hcluster.plan.state import ends_at
    from hcluster.spec.base import lifetime_seconds

    told = view.spec.get("lifetime")
    if not isinstance(told, str):
        return "-"
    end = ends_at(view.created, lifetime_seconds(told)) if view.created else None
    return f"{told} (until {plain(end)})" if end else told


def nodes_table(nodes: Sequence[NodeView], now: datetime) -> str:
    """One line a node."""
    rows = [
        (
            node.instance.id,
            node.group,
            node.instance.state,
            node.phase or "-",
            node.instance.type,
            node.instance.market,
            node.instance.zone,
            node.instance.private_ip or "-",
            age(node.instance.launched, now),
        )
        for node in nodes
    ]
    return table(
        ("instance", "group", "state", "phase", "type", "market", "zone", "address", "age"), rows, empty="no nodes"
    )


def findings_table(findings: Sequence[Finding]) -> str:
    """What doctor found, the cure below each check that failed; what failed for the same reason is said once."""
    width = max((len(one.check) for one in findings), default=0)
    marks = len("warning") if any(one.ok and one.warning for one in findings) else len("failed")
    indent = " " * (marks + len(_GAP) + width + len(_GAP))
    lines = []
    said: dict[str, str] = {}
    for one in findings:
        again = not one.ok and said.setdefault(one.message, one.check) != one.check
        word = "failed" if not one.ok else "warning" if one.warning else "ok"
        first, *rest = _fitted(f"as {said[one.message]}" if again else clean(one.message), len(indent))
        lines.append(f"{_coloured(word.ljust(marks))}{_GAP}{one.check.ljust(width)}{_GAP}{first}")
        if one.cure and word != "ok" and not again:
            rest += [part for line in one.cure.splitlines() for part in _fitted(clean(line), len(indent))]
        lines += [f"{indent}{line}" for line in rest]
    return "\n".join(lines)


def _fitted(text: str, indent: int) -> list[str]:
    """Lines that fit on the terminal behind ``indent`` blanks; as it is where there is none, or hardly any room."""
    if not sys.stdout.isatty():
        return [text]
    import shutil
    import textwrap

    room = shutil.get_terminal_size().columns - indent
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""] if room >= 30 else [text]


def down_text(result: DownResult) -> str:
    """What went away, in one line."""
    from hcluster.plan.words import many

    if result.nothing:
        return f"{result.name}: there was nothing left to remove"
    counts = (
        (result.terminated, "node"),
        (result.interfaces, "interface"),
        (result.templates, "launch template"),
        (result.volumes, "volume"),
    )
    parts = [many(count, what) for count, what in counts if count]
    return f"{result.name}: removed {', '.join(parts)}"


def facts_text(values: Mapping[str, object]) -> str:
    """Names and values, one a line; lists and mappings as compact JSON."""
    width = max((len(name) for name in values), default=0)
    lines = []
    for name, value in values.items():
        shown = plain(value)
        text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
        lines.append(f"{name.ljust(width)}{_GAP}{_coloured(clean(text))}")
    return "\n".join(lines)
