"""Find nodes and run commands on them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from hcluster.errors import HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.waiting import platform_tag
from hcluster.model.names import TAG_CLUSTER, TAG_GROUP
from hcluster.model.node import Instance
from hcluster.ports import Remote

KEPT_BYTES = 4 << 20
"""Of each stream of each node: what many nodes print must fit into memory."""


def alive(ctx: Context, name: str) -> list[Instance]:
    """The nodes of a cluster that are booting or running, the master first.

    Raises:
        NotFoundError: there is none.
    """
    found = ctx.compute.instances({**platform_tag(ctx), TAG_CLUSTER: name})
    if not found:
        raise NotFoundError(
            f"no cluster {name} is running on platform {ctx.platform.name}",
            hint="`hcluster list` shows what runs, `hcluster up FILE` starts a cluster",
            reference="no-cluster",
        )
    order = ("master", "platform", "core", "task")
    return sorted(found, key=lambda node: (order.index(node.tags.get(TAG_GROUP, "task")), node.private_ip))


def master(ctx: Context, name: str) -> Instance:
    """The master of a cluster (of ``platform``: its node).

    Raises:
        NotFoundError: the cluster has none.
    """
    first = alive(ctx, name)[0]
    if first.tags.get(TAG_GROUP) not in ("master", "platform"):
        raise NotFoundError(
            f"cluster {name} has lost its master",
            hint=f"take it down with `hcluster down {name}`, then start it again",
            reference="no-master",
        )
    return first


def targets(ctx: Context, name: str, group: str = "", instance: str = "") -> list[Instance]:
    """Nodes of a cluster, of one group, or one node by id, address, DNS name or group name.

    Raises:
        NotFoundError: nothing fits.
    """
    return chosen(ctx, name, [group] if group else [], [instance] if instance else [])


def chosen(ctx: Context, name: str, groups: Sequence[str], instances: Sequence[str]) -> list[Instance]:
    """Nodes of a cluster in any of ``groups`` (none: all), of these only those that ``instances`` name: each by id,
    address or DNS name, or a group's name for the first node of that. In the order of ``alive``.

    Raises:
        NotFoundError: one of the groups or instances names nothing; all such are told at once.
    """
    nodes = alive(ctx, name)
    there = {node.tags.get(TAG_GROUP, "") for node in nodes}
    missing = [group for group in groups if group not in there]
    if groups:
        nodes = [node for node in nodes if node.tags.get(TAG_GROUP) in groups]
    picked: set[str] = set()
    for instance in instances:
        found = [node.id for node in nodes if instance in _names(node)]
        found = found or [node.id for node in nodes if node.tags.get(TAG_GROUP) == instance][:1]
        missing += [] if found else [instance]
        picked.update(found)
    if missing:
        raise NotFoundError(
            f"cluster {name} has no such node: {', '.join(missing)}", hint=f"`hcluster nodes {name}` lists them"
        )
    return [node for node in nodes if not instances or node.id in picked]


def _names(node: Instance) -> tuple[str, ...]:
    return (node.id, node.private_ip, node.private_dns, node.private_dns.split(".")[0])


class Watch(Protocol):
    """Whoever looks on while a command runs; called by many threads at once."""

    def output(self, node: Instance, piece: bytes, *, stderr: bool) -> None:
        """A piece of what a node's command writes."""

    def ended(self, node: Instance, code: int, reason: str) -> None:
        """A node is done; ``reason`` says why there is no exit code of the command, and then ``code`` is 255."""


class _Blind:
    def output(self, node: Instance, piece: bytes, *, stderr: bool) -> None:
        """Nobody looks on."""

    def ended(self, node: Instance, code: int, reason: str) -> None:
        """Nobody looks on."""


def run_on(
    ctx: Context,
    name: str,
    instances: Sequence[Instance],
    command: Sequence[str],
    timeout: float = 600,
    watch: Watch | None = None,
    *,
    keep: bool = True,
) -> list[tuple[Instance, int, bytes, bytes]]:
    """Run one command on several nodes side by side: (node, exit code, stdout, stderr) of each.

    A node that cannot be reached, is lost meanwhile, or whose command does not end in time, gets exit code 255 and the
    reason as its stderr, as with ``ssh``; the others go on. Of each stream the last 4 MiB are kept, nothing without
    ``keep``; stderr ends with a line that says what was cut. Ctrl-C ends the commands on all nodes, and so does a watch
    that raises.
    """
    sessions = Sessions()
    looking = watch or _Blind()

    def one(node: Instance) -> tuple[Instance, int, bytes, bytes]:
        out, err = _Tail("stdout", keep=keep), _Tail("stderr", keep=keep)

        def on_output(piece: bytes) -> None:
            out.take(piece)
            looking.output(node, piece, stderr=False)

        def on_stderr(piece: bytes) -> None:
            err.take(piece)
            looking.output(node, piece, stderr=True)

        try:
            remote = ctx.connector.connect(node, name)
            sessions.add(remote)
            try:
                code = remote.run(command, timeout=timeout, on_output=on_output, on_stderr=on_stderr)[0]
                reason = ""
            finally:
                remote.close()
        except HclusterError as cause:
            code, reason = 255, cause.message
        except BaseException:
            sessions.close()
            raise
        looking.ended(node, code, reason)
        return node, code, bytes(out.kept), _lines(bytes(err.kept), reason.encode(), out.note(), err.note())

    try:
        return gather([lambda node=node: one(node) for node in instances])  # type: ignore[misc]
    except KeyboardInterrupt:
        sessions.close()
        raise


class Sessions:
    """What is open, and once closed, all that is opened later, too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Remote] = []
        self._closed = False

    def add(self, remote: Remote) -> None:
        """One more."""
        with self._lock:
            self._open.append(remote)
            closed = self._closed
        if closed:
            remote.close()

    def close(self) -> None:
        """End all."""
        with self._lock:
            self._closed = True
            found = list(self._open)
        for remote in found:
            remote.close()


class _Tail:
    """The last bytes of one stream."""

    def __init__(self, name: str, *, keep: bool) -> None:
        self.kept = bytearray()
        self._keep = keep
        self._name = name
        self._seen = 0

    def take(self, piece: bytes) -> None:
        if not self._keep:
            return
        self._seen += len(piece)
        self.kept += piece
        del self.kept[:-KEPT_BYTES]

    def note(self) -> bytes:
        """What to say of what is not kept, empty when all is."""
        cut = self._seen - len(self.kept)
        if not cut:
            return b""
        return f"hcluster: {self._name} was cut, its first {cut} of {self._seen} bytes are not shown".encode()


def _lines(text: bytes, *more: bytes) -> bytes:
    """Text, and further lines that are not empty."""
    for line in filter(None, more):
        text += b"\n" * bool(text and not text.endswith(b"\n")) + line
    return text
