"""SSH sessions that never leave the process."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from hcluster.errors import CopyError, HostKeyError, NotFoundError, UnreachableError
from hcluster.model.node import Instance
from hcluster.ports import CheckIns, Copied, Moved
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
    def put(
        self,
        sources: Sequence[str],
        target: str,
        *,
        recursive: bool = False,
        timeout: float = 3600,
        moved: Moved = lambda _done, _of: None,
    ) -> Copied:
        """Copy files there; ``FakeConnector.files`` then has them. A folder is what something lies below."""
        del timeout, recursive
        self._demand_open()
        bodies = {source: self._local(source) for source in sources}
        total = sum(map(len, bodies.values()))
        folder = self._is_folder(target)
        if not folder and (len(sources) > 1 or target.endswith("/")):
            raise CopyError(f"{self.instance.id}: there is no folder {target.rstrip('/')}")
        for source, body in bodies.items():
            path = f"{target.rstrip('/')}/{Path(source).name}" if folder else target
            self._connector.files[self.instance.id, path] = body
            moved(len(body), total)
        return len(bodies), total, ()

    @probed
    def get(
        self,
        sources: Sequence[str],
        target: str,
        *,
        recursive: bool = False,
        timeout: float = 3600,
        moved: Moved = lambda _done, _of: None,
    ) -> Copied:
        """Copy files here that ``FakeConnector.files`` has."""
        del timeout, recursive
        self._demand_open()
        bodies = {}
        for source in sources:
            if (self.instance.id, source) not in self._connector.files:
                raise CopyError(f"{self.instance.id}: there is no {source}")
            bodies[source] = self._connector.files[self.instance.id, source]
        total = sum(map(len, bodies.values()))
        if len(sources) > 1 and not Path(target).is_dir():
            raise CopyError(f"{self.instance.id}: there is no folder {target}")
        for source, body in bodies.items():
            path = Path(target, Path(source).name) if Path(target).is_dir() else Path(target)
            path.write_bytes(body)
            moved(len(body), total)
        return len(bodies), total, ()

    def _local(self, source: str) -> bytes:
        if not Path(source).is_file():
            raise NotFoundError(f"there is no {source} (on this machine)")
        return Path(source).read_bytes()

    def _is_folder(self, path: str) -> bool:
        below = f"{path.rstrip('/')}/" if path else ""
        mine = [name for instance, name in self._connector.files if instance == self.instance.id]
        return not path or any(name.startswith(below) for name in mine)

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

    def alive(self) -> bool:
        """Whether it was not closed."""
        return not self.closed

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
        """Bodies by (instance, path) of everything that was put, and of what can be got."""
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
