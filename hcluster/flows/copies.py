"""Copy files between here and many nodes, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import CopyError, HclusterError, NotFoundError, UsageError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.reach import Sessions
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.ports import Copied, Moved, Remote

MIB = 1 << 20
_STEP = "cp"


@dataclass(frozen=True, slots=True)
class NodeCopy:
    """What was copied to or from one node."""

    node: Instance
    files: int
    bytes: int
    left_out: tuple[str, ...] = ()
    """What is neither file nor folder."""
    error: HclusterError | None = None
    """Why it failed, and then nothing is counted; None when all is there."""


def copy_to(
    ctx: Context,
    name: str,
    nodes: Sequence[Instance],
    sources: Sequence[str],
    target: str,
    *,
    recursive: bool = False,
    timeout: float = 3600,
) -> list[NodeCopy]:
    """Copy local files to each of ``nodes``; one that fails holds up no other.

    Raises:
        NotFoundError: one of ``sources`` does not exist; nothing is copied.
        UsageError: one is a folder, and ``recursive`` was not asked for.
    """
    for source in sources:
        if not Path(source).exists():
            raise NotFoundError(
                f"there is no file {source} here", hint="what lies on a node is written NAME:PATH, with its cluster"
            )
        if Path(source).is_dir() and not recursive:
            raise UsageError(f"{source} is a folder", hint="`hcluster cp --recursive` copies folders")

    def put(remote: Remote, _node: Instance, moved: Moved) -> Copied:
        return remote.put(sources, target, recursive=recursive, timeout=timeout, moved=moved)

    return _each(ctx, name, nodes, put, f"copying to {_nodes(nodes)}")


def copy_from(
    ctx: Context,
    name: str,
    nodes: Sequence[Instance],
    sources: Sequence[str],
    target: str,
    *,
    recursive: bool = False,
    timeout: float = 3600,
) -> list[NodeCopy]:
    """Copy files of one node to ``target``, those of several into a folder below it for each, named by its address.

    Raises:
        UsageError: there are several nodes, and ``target`` is a file.
    """
    several = len(nodes) > 1
    if several and Path(target).exists() and not Path(target).is_dir():
        raise UsageError(
            f"{target} is a file; what {len(nodes)} nodes have goes into a folder",
            hint="name a folder, or one --instance",
        )

    def get(remote: Remote, node: Instance, moved: Moved) -> Copied:
        place = target
        if several:
            place = str(_folder(Path(target, node.private_ip)))
        return remote.get(sources, place, recursive=recursive, timeout=timeout, moved=moved)

    return _each(ctx, name, nodes, get, f"copying from {_nodes(nodes)}")


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise CopyError(f"cannot make the folder {path} here: {(cause.strerror or str(cause)).lower()}") from cause
    return path


def _each(
    ctx: Context,
    name: str,
    nodes: Sequence[Instance],
    copy: Callable[[Remote, Instance, Moved], Copied],
    doing: str,
) -> list[NodeCopy]:
    sessions, meter = Sessions(), _Meter(ctx, len(nodes), doing)

    def one(node: Instance) -> NodeCopy:
        try:
            remote = ctx.connector.connect(node, name)
            sessions.add(remote)
            try:
                return NodeCopy(node, *copy(remote, node, meter.of(node)))
            finally:
                remote.close()
        except HclusterError as cause:
            return NodeCopy(node, 0, 0, error=cause)

    try:
        copies = gather([lambda node=node: one(node) for node in nodes])  # type: ignore[misc]
    except KeyboardInterrupt:
        # What is under way ends at both sides, and removes what it has written.
        sessions.close()
        raise
    meter.end(failed=sum(one.error is not None for one in copies))
    return copies


class _Meter:
    """Adds up the bytes of all nodes, and reports them a MiB at a time."""

    def __init__(self, ctx: Context, nodes: int, doing: str) -> None:
        self._report = ctx.report
        self._nodes = nodes
        self._text = f"{doing} (MiB)"
        self._doing = doing
        self._moved = self._told = 0
        self._totals: dict[str, int] = {}
        self._lock = threading.Lock()

    def of(self, node: Instance) -> Moved:
        """What a node's copy tells its pieces to."""

        def moved(count: int, total: int) -> None:
            with self._lock:
                self._moved += count
                self._totals[node.id] = total
                if self._moved - self._told >= MIB:
                    self._told = self._moved
                    # Nodes that have not begun yet are taken to be like those that have.
                    whole = sum(self._totals.values()) * self._nodes // len(self._totals)
                    self._report(Progress(_STEP, self._text, self._moved // MIB, max(1, whole // MIB)))

        return moved

    def end(self, *, failed: int) -> None:
        """The last report, when there was one before."""
        if self._told:
            state = "failed" if failed else "ok"
            self._report(Progress(_STEP, self._doing, state=state))


def _nodes(nodes: Sequence[Instance]) -> str:
    return f"{len(nodes)} nodes" if len(nodes) > 1 else nodes[0].id
