"""SSH sessions that never leave the process."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from hcluster.errors import HostKeyError, NotFoundError, UnreachableError
from hcluster.model.node import Instance
from hcluster.ports import CheckIns
from hcluster.testing.probes import Probe, Probed, no_probe, probed

Answer = tuple[int, bytes, bytes]
Responder = Callable[[Instance, str], Answer]
"""What a node answers to a command line: (exit code, stdout, stderr). It may raise, as a session may."""


def answers_nothing(_instance: Instance, _command: str) -> Answer:
    """The default: every command is fine and silent."""
    return 0, b"", b""


class FakeRemote(Probed):
    """Implements ``hcluster.ports.Remote`` for one node."""

    port = "remote"

    def __init__(self, instance: Instance, connector: FakeConnector) -> None:
        super().__init__(connector.probe)
        self.instance = instance
        self.closed = False
        self._connector = connector

    @probed
    def run(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bytes = b"",
        timeout: float = 600,
        on_output: Callable[[bytes], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> Answer:
        """(exit code, stdout, stderr) as the connector's responder says."""
        del stdin, timeout
        self._demand_open()
        line = command if isinstance(command, str) else shlex.join(command)
        self._connector.commands.append((self.instance.id, line))
        code, out, err = self._connector.responder(self.instance, line)
        for piece, hand_over in ((out, on_output), (err, on_stderr or on_output)):
            if hand_over and piece:
                hand_over(piece)
        return code, out, err

    @probed
    def put(self, local: str, remote: str) -> None:
        """Copy a file there; ``FakeConnector.files`` then has it."""
        self._demand_open()
        if not Path(local).is_file():
            raise NotFoundError(f"no file {local}")
        self._connector.files[self.instance.id, remote] = Path(local).read_bytes()

    @probed
    def open_channel(self, host: str, port: int) -> object:
        """What the connector's ``channels`` holds for the address. Raises UnreachableError when there is nothing."""
        self._demand_open()
        opened = self._connector.channels.get((host, port))
        if opened is None:
            raise UnreachableError(f"nothing listens on {host}:{port}")
        return opened()

    @probed
    def shell(self) -> int:
        """An interactive terminal that ends at once."""
        self._demand_open()
        return 0

    def close(self) -> None:
        """End it; safe to repeat."""
        self.closed = True

    def _demand_open(self) -> None:
        if self.closed:
            raise UnreachableError(f"the session to {self.instance.id} is closed")


class FakeConnector(Probed):
    """Implements ``hcluster.ports.Connector``: only nodes that live and have checked in can be reached.

    Args:
        checkins: where host keys must have been reported; None: every node is known.
        responder: what nodes answer.
        probe: see ``hcluster.testing.probes``.
    """

    port = "connector"

    def __init__(
        self,
        checkins: CheckIns | None = None,
        *,
        responder: Responder = answers_nothing,
        probe: Probe = no_probe,
    ) -> None:
        super().__init__(probe)
        self.responder = responder
        self.commands: list[tuple[str, str]] = []
        """(instance, command line) of everything that was run."""
        self.files: dict[tuple[str, str], bytes] = {}
        """Bodies by (instance, path) of everything that was put."""
        self.channels: dict[tuple[str, int], Callable[[], object]] = {}
        """What listens where."""
        self.remotes: list[FakeRemote] = []
        """Every session that was opened."""
        self._checkins = checkins

    @probed
    def connect(self, instance: Instance, cluster: str) -> FakeRemote:
        """Open a session. Raises UnreachableError for a node that has ended, HostKeyError before its check-in."""
        if not instance.alive:
            raise UnreachableError(f"{instance.id} of {cluster} is {instance.state}")
        if self._checkins is not None:
            try:
                body = self._checkins.read(cluster, instance.id, "booted").body
            except NotFoundError as cause:
                raise HostKeyError(f"{instance.id} of {cluster} has not checked in") from cause
            if not body.get("host_keys"):
                raise HostKeyError(f"{instance.id} of {cluster} reported no host key")
        remote = FakeRemote(instance, self)
        self.remotes.append(remote)
        return remote
