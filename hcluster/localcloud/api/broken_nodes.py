"""Nodes are killed, frozen and cut off, and their records follow as EC2's do when a host fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from hcluster.errors import LocalCloudError, NotFoundError
from hcluster.localcloud.api import spot
from hcluster.localcloud.api.effects import Broken
from hcluster.localcloud.api.hold import Hold
from hcluster.localcloud.api.rules import Rule
from hcluster.localcloud.machines import Machines

_RETIRED = ("Server.ScheduledStop", "Stopped due to scheduled retirement")
_RECLAIMED = ("Server.SpotInstanceTermination", "Spot instance termination")
_OVER = {
    "killed": ("pending", "running", "shutting-down", "terminated"),
    "frozen": ("rebooting", "stopping", "stopped", "shutting-down", "terminated"),
    "partitioned": ("shutting-down", "terminated"),
}
"""States in which nothing is broken any more."""
_SETTLED = 60.0
_POLL = 0.05


class BrokenNodes:
    """Each broken node is a rule until it is undone or the instance stops."""

    def __init__(self, hold: Hold, machines: Machines) -> None:
        self._hold = hold
        self._machines = machines
        self._heal: set[str] = set()
        """Instances whose partition was undone while they were off: machines heal when they run."""

    def kill(self, instance_ids: Sequence[str], by: str) -> list[Rule]:
        """As when the host fails. On-demand instances become stopped with Server.ScheduledStop, as those with an EBS
        root volume whose host is retired, and can be started again
        (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/schedevents_actions_retire.html); spot instances become
        terminated, since EC2 reclaims them then. Rules of those that can come back."""
        made = []
        for instance_id in instance_ids:
            self._machines.kill(instance_id)
            with self._hold.lock:
                instance = self._hold.backend().by_id.get(instance_id)
                if instance is None or instance.state != "running":
                    continue
                if instance.lifecycle == "spot":
                    request = self._hold.backend().spot_instance_requests.get(instance.spot_instance_request_id)
                    if request is not None:
                        request.fate = spot.ENDED["no-capacity"]
                    self._hold.backend().end(instance, *_RECLAIMED)
                else:
                    self._hold.backend().stop_now(instance, *_RETIRED)
                    made.append(self._hold.rules.add(Broken(instance_id, "killed"), by))
                self._hold.changed()
        return made

    def freeze(self, instance_ids: Sequence[str], by: str, seconds: float) -> list[Rule]:
        """Stop all processes of nodes, for ``seconds`` or (0) until it is undone."""
        return self._break(instance_ids, "frozen", self._machines.freeze, by, seconds)

    def partition(self, instance_ids: Sequence[str], by: str, seconds: float) -> list[Rule]:
        """Cut nodes off the network, for ``seconds`` or (0) until it is undone."""
        return self._break(instance_ids, "partitioned", self._machines.partition, by, seconds)

    def _break(
        self, instance_ids: Sequence[str], how: str, action: Callable[[str], None], by: str, seconds: float
    ) -> list[Rule]:
        made = []
        for instance_id in instance_ids:
            effect = Broken(instance_id, how)
            self._hold.rules.discard([rule.id for rule, known in self._hold.rules.of(Broken) if known == effect])
            action(instance_id)
            rule = self._hold.rules.add(effect, by, seconds)
            made.append(rule)
            if rule.until:
                self._hold.agenda.at(rule.until, partial(self._over, rule.id, effect))
        return made

    def _over(self, rule_id: str, effect: Broken) -> None:
        """Its time is over; a later one of the same kind stays."""
        if not any(rule.id != rule_id and known == effect for rule, known in self._hold.rules.of(Broken)):
            self._mend(effect)

    def undo(self, effect: Broken) -> str:
        """What became of it, in words. Raises LocalCloudError for one that does not stop. Its rule stays when this
        fails."""
        if effect.how != "killed":
            return self._mend(effect)
        self.settle(effect.instance_id)
        with self._hold.lock:
            instance = self._hold.backend().by_id.get(effect.instance_id)
            if instance is None or instance.state != "stopped":
                return f"{effect.instance_id} is {'gone' if instance is None else instance.state}"
            self._hold.backend().start_again(instance)
            self._hold.changed()
        return f"{effect.instance_id} starts again"

    def _mend(self, effect: Broken) -> str:
        try:
            (self._machines.thaw if effect.how == "frozen" else self._machines.heal)(effect.instance_id)
        except NotFoundError:
            if effect.how == "partitioned":
                self._heal.add(effect.instance_id)
            return f"{effect.instance_id} does not run now"
        return f"{effect.instance_id} {'runs on' if effect.how == 'frozen' else 'is on the network again'}"

    def settle(self, instance_id: str) -> None:
        """Wait until a stopping instance has stopped. Raises LocalCloudError when it does not."""
        deadline = time.monotonic() + _SETTLED
        while time.monotonic() < deadline:
            with self._hold.lock:
                instance = self._hold.backend().by_id.get(instance_id)
                if instance is None or instance.state != "stopping":
                    return
            time.sleep(_POLL)
        raise LocalCloudError(f"{instance_id} is still stopping after {_SETTLED:g} s", hint="the daemon's log says why")

    def entered(self, instance_id: str, state: str) -> None:
        """An instance entered a state, or is "rebooting". Some of what was broken is over with it; a partition lasts as
        long as the instance, also when its machine is another one."""
        about = [(rule, effect) for rule, effect in self._hold.rules.of(Broken) if effect.instance_id == instance_id]
        if over := [rule.id for rule, effect in about if state in _OVER[effect.how]]:
            self._hold.rules.discard(over)
        if state == "running":
            if any(effect.how == "partitioned" for _, effect in about):
                self._hold.agenda.at(0, partial(self._machines.partition, instance_id))
            elif instance_id in self._heal:
                self._heal.discard(instance_id)
                self._hold.agenda.at(0, partial(self._machines.heal, instance_id))

    def resume(self) -> None:
        """The machines are made anew: none is frozen any more."""
        self._hold.rules.discard([rule.id for rule, effect in self._hold.rules.of(Broken) if effect.how == "frozen"])
        for rule, effect in self._hold.rules.of(Broken):
            if rule.until:
                self._hold.agenda.at(rule.until, partial(self._over, rule.id, effect))

    def close(self) -> None:
        """Let frozen nodes run on, so that they can be shut down in order."""
        for _, effect in self._hold.rules.of(Broken):
            if effect.how == "frozen":
                self._mend(effect)
