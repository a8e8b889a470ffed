"""What a run would do, as text: actions with their reasons, prices by group, seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hcluster.cli.output.render import table
from hcluster.model.actions import Action
from hcluster.model.forecast import Amount, Cost, Expected, Forecast, GroupCost

UNKNOWN = "unknown"
_MOST_DIGITS = 4
"""After the point; amounts below each other have all of them."""
_DONE = ("end", "launch", "restore", "tell", "drain", "replace", "remove")


def forecast_text(found: Forecast, again: str) -> str:
    """All of it; ``again`` is the command that does it."""
    doing = [action for action in found.actions if action.kind in _DONE]
    parts = [actions_text(found.actions, empty=f"{found.cluster}: nothing to do")]
    if any(line.nodes_before or line.nodes_after for line in found.cost.groups):
        parts.append(cost_text(found.cost))
    parts.append(expected_text(found.expected, nothing=not doing))
    parts.append(f"Nothing was changed. To do it: {again}" if doing else "Nothing was changed.")
    return "\n\n".join(parts)


def actions_text(actions: Sequence[Action], *, empty: str) -> str:
    """One line an action, in the order in which they are executed."""
    rows = [
        (
            str(place),
            action.group or "-",
            f"{action.what}{f', in {action.batches} batches' if action.batches > 1 else ''}",
            f"{'not without --replace: ' if action.kind == 'pending' else ''}{action.reason}",
        )
        for place, action in enumerate(actions, 1)
    ]
    return table(("", "group", "action", "reason"), rows, empty=empty)


def cost_text(cost: Cost) -> str:
    """The table of prices, what they are and what they are not."""
    rows = [
        (
            line.group,
            _nodes(line),
            dollars(line.before, digits=_MOST_DIGITS),
            dollars(line.after, digits=_MOST_DIGITS),
            dollars(line.difference, signed=True, digits=_MOST_DIGITS),
            dollars(line.on_demand, digits=_MOST_DIGITS),
            dollars(line.spot, digits=_MOST_DIGITS),
        )
        for line in cost.groups
    ]
    columns = ("usd an hour", "nodes", "before", "after", "difference", "all on-demand", "all spot")
    return "\n".join([table(columns, rows), *_sources(cost)])


def _nodes(line: GroupCost) -> str:
    same = line.nodes_before == line.nodes_after
    return str(line.nodes_after) if same else f"{line.nodes_before} -> {line.nodes_after}"


def _sources(cost: Cost) -> Iterator[str]:
    listed = f"price list of {cost.listed:%Y-%m-%d}" if cost.listed else UNKNOWN
    spot = f"present prices, {cost.spot_at:%Y-%m-%d %H:%M} UTC; they move" if cost.spot_at else UNKNOWN
    yield f"on-demand: {listed}; spot: {spot}"
    yield from (f"{UNKNOWN}: {reason}" for reason in cost.unknown)
    yield f"not included: {', '.join(cost.not_included)}"


def dollars(amount: Amount | None, *, signed: bool = False, digits: int = 2) -> str:
    """An amount, or the range that it lies in, with at least so many digits after the point."""
    if amount is None:
        return UNKNOWN
    low, high = (_number(one, signed=signed, digits=digits) for one in (amount.low, amount.high))
    return low if low == high else f"{low} to {high}"


def _number(value: float, *, signed: bool, digits: int) -> str:
    """At most four digits after the point: spot prices are told to a hundredth of a cent."""
    text = f"{abs(value):.{_MOST_DIGITS}f}"
    while text.endswith("0") and len(text.rpartition(".")[2]) > digits:
        text = text[:-1]
    if not float(text):
        return text
    return f"{'-' if value < 0 else '+' if signed else ''}{text}"


def expected_text(found: Expected, *, nothing: bool = False) -> str:
    """How long it is likely to take."""
    if nothing:
        return "expected: no time to speak of"
    if found.seconds is None:
        return "expected: unknown, there was no run like this yet"
    earlier = "1 earlier run" if found.runs == 1 else f"median of {found.runs} earlier runs"
    spread = "" if found.runs == 1 else f", {found.shortest:.0f} to {found.longest:.0f} s"
    return f"expected: {found.seconds:.0f} s ({earlier}: {found.like}{spread})"


def price_line(cost: Cost) -> str:
    """The whole in one line."""
    total = cost.groups[-1]
    return f"{dollars(total.after)} USD an hour instead of {dollars(total.before)}"
