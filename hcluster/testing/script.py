"""What a node of the fake cloud does by itself after its launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hcluster.model.node import Instance

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeHostKeyOfANodeThatIsNotThere"


@dataclass(frozen=True, slots=True)
class NodeScript:
    """Virtual seconds, all counted from the launch call.

    The default is a node that gets ready; ``phases=()`` never reports; ``ends`` is a node that the cloud takes away.
    """

    running: float = 20.0
    phases: tuple[tuple[str, float], ...] = (("booted", 25.0), ("configured", 32.0), ("ready", 50.0))
    bodies: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: {"booted": {"host_keys": [HOST_KEY]}})
    ends: float = 0.0
    """0: never by itself."""
    reason: str = "Server.SpotInstanceTermination: Spot instance termination"
    shutting_down: float = 2.0
    """From a terminate call to the end."""
    converges: float = 6.0
    """From being told something else to having applied it; 0: it never hears of it."""
    refuses: str = ""
    """The message with which it fails to apply what it is told; "" when it does not."""
    drains: float = 10.0
    """From having applied a list of nodes to leave out to their being empty; 0: they never are."""

    @staticmethod
    def failing(step: str, message: str, at: float = 30.0) -> NodeScript:
        """A node that boots and then reports a failure."""
        return NodeScript(
            phases=(("booted", 25.0), ("failed", at)),
            bodies={"booted": {"host_keys": [HOST_KEY]}, "failed": {"step": step, "message": message, "log_tail": ""}},
        )


Scripts = Callable[[Instance], NodeScript]
"""Which script a new instance follows."""


def every_node_gets_ready(_instance: Instance) -> NodeScript:
    """The default."""
    return NodeScript()
