"""What `hcluster local` asks a running cloud for: break something, undo it, list what is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hcluster.errors import NotFoundError, UsageError
from hcluster.localcloud.api.broken_nodes import BrokenNodes
from hcluster.localcloud.api.effects import Broken, Interruption, effect_of
from hcluster.localcloud.api.events import Events
from hcluster.localcloud.api.hold import Hold
from hcluster.localcloud.api.interruptions import NOTICE, Interruptions
from hcluster.localcloud.api.metadata import Metadata
from hcluster.localcloud.api.rules import Rule
from hcluster.localcloud.api.targets import Candidate, Wanted, choose
from hcluster.localcloud.machines import Machines

REQUESTS = ("shortage", "throttle", "error", "delay", "lag", "clock")
"""Faults of requests; those of nodes are commands of their own."""

Arguments = Mapping[str, Any]


class Controls:
    """Commands by name: a mapping in, values of JSON out, HclusterError for what cannot be done."""

    def __init__(self, hold: Hold, machines: Machines, metadata: Metadata, events: Events) -> None:
        self._hold = hold
        self._events = events
        self._nodes = BrokenNodes(hold, machines)
        self._spot = Interruptions(hold, metadata, events)
        self._commands: dict[str, Callable[[Arguments], Any]] = {
            "list": self._list,
            "undo": self._undo,
            "interrupt": self._interrupt,
            "rebalance": self._rebalance,
            "kill": self._kill,
            "freeze": self._freeze,
            "partition": self._partition,
        }

    def handle(self, command: str, arguments: Arguments) -> Any:
        """One command. Raises HclusterError."""
        if command in REQUESTS:
            return self._break(command, arguments)
        if command not in self._commands:
            raise UsageError(f"the local cloud has no command '{command}'", hint="is its version that of hcluster?")
        return self._commands[command](arguments)

    def resume(self) -> None:
        """Take up what was broken when the cloud stopped."""
        self._nodes.resume()
        self._spot.resume()

    def close(self) -> None:
        """Begin nothing more; frozen nodes run on."""
        self._hold.agenda.close()
        self._nodes.close()
        self._hold.rules.close()

    def state_changed(self, instance_id: str, state: str) -> None:
        """An instance entered a state, or is "rebooting", which is none. The cloud's lock is held."""
        if state != "rebooting":
            self._events.state_changed(instance_id, state)
        if state == "running":
            self._spot.runs(instance_id)
        self._nodes.entered(instance_id, state)

    def _list(self, _: Arguments) -> list[dict[str, Any]]:
        self._spot.prune()
        return _described(self._hold.rules.all())

    def _break(self, kind: str, arguments: Arguments) -> list[dict[str, Any]]:
        effect = effect_of(kind, arguments.get("values") or {})
        return _described([self._hold.rules.add(effect, _by(arguments), _seconds(arguments))])

    def _undo(self, arguments: Arguments) -> list[dict[str, Any]]:
        """Each with its ``result`` in words. ``ids``: of rules or of instances; none: all rules. Nothing is undone when
        one of them is unknown; it stops at the first that fails."""
        self._spot.prune()
        there = self._hold.rules.all()
        wanted = [str(name) for name in arguments.get("ids") or [rule.id for rule in there]]
        chosen: dict[str, Rule] = {}
        for name in wanted:
            found = [rule for rule in there if name in (rule.id, getattr(rule.effect, "instance_id", ""))]
            if not found:
                raise NotFoundError(f"there is no fault {name}", hint="`hcluster local status` lists those there are")
            chosen |= {rule.id: rule for rule in found}
        return [{**rule.described(), "result": self._undone(rule)} for rule in chosen.values()]

    def _undone(self, rule: Rule) -> str:
        effect = rule.effect
        if isinstance(effect, Broken):
            result = self._nodes.undo(effect)
            self._hold.rules.discard([rule.id])
            return result
        if isinstance(effect, Interruption) and effect.action != "terminate":
            self._nodes.settle(effect.instance_id)
        self._hold.rules.discard([rule.id])
        return self._spot.undo(rule, effect) if isinstance(effect, Interruption) else "undone"

    def _interrupt(self, arguments: Arguments) -> list[dict[str, Any]]:
        notice = float(arguments.get("notice", NOTICE))
        if not 0 <= notice <= 86400:
            raise UsageError("a notice is given at most a day ahead")
        reason = str(arguments.get("reason") or "no-capacity")
        return _described(self._spot.begin(self._chosen(arguments, spot=True), _by(arguments), notice, reason))

    def _rebalance(self, arguments: Arguments) -> list[dict[str, Any]]:
        chosen = self._chosen(arguments, spot=True)
        return _described(self._spot.recommend(chosen, _by(arguments), _seconds(arguments)))

    def _kill(self, arguments: Arguments) -> dict[str, Any]:
        chosen = self._chosen(arguments)
        return {"killed": chosen, "faults": _described(self._nodes.kill(chosen, _by(arguments)))}

    def _freeze(self, arguments: Arguments) -> list[dict[str, Any]]:
        return _described(self._nodes.freeze(self._chosen(arguments), _by(arguments), _seconds(arguments)))

    def _partition(self, arguments: Arguments) -> list[dict[str, Any]]:
        return _described(self._nodes.partition(self._chosen(arguments), _by(arguments), _seconds(arguments)))

    def _chosen(self, arguments: Arguments, *, spot: bool = False) -> list[str]:
        wanted = Wanted(
            tuple(str(node) for node in arguments.get("nodes") or ()),
            str(arguments.get("cluster") or ""),
            str(arguments.get("group") or ""),
            int(arguments.get("count") or 0),
        )
        with self._hold.lock:
            backend = self._hold.backend()
            there = [
                Candidate(
                    instance.id,
                    str(instance.state),
                    instance.lifecycle == "spot",
                    str(instance.private_ip or ""),
                    str(instance.private_dns_name or ""),
                    dict(backend.tags.get(instance.id, {})),
                )
                for instance in backend.alive()
            ]
        return [one.id for one in choose(wanted, there, spot=spot)]


def _described(rules: list[Rule]) -> list[dict[str, Any]]:
    return [rule.described() for rule in rules]


def _by(arguments: Arguments) -> str:
    return str(arguments.get("by") or "somebody")


def _seconds(arguments: Arguments) -> float:
    """How long a fault is to last, 0 for ever."""
    seconds = float(arguments.get("seconds") or 0)
    if seconds < 0:
        raise UsageError("a fault cannot last less than 0 seconds")
    return seconds
