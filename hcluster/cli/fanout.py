"""What a command says on several nodes at once: line by line as it comes, or folded where nodes said the same."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO, Self

from hcluster.model.events import Progress, Report
from hcluster.model.names import TAG_GROUP
from hcluster.model.node import Instance

Result = tuple[Instance, int, bytes, bytes]
"""A node, its exit code, its standard output and its standard error."""

LONGEST_LINE = 1 << 16
"""A line that is longer is written in parts, so that a node cannot fill the memory."""
SILENCE_SECONDS = 1.0
"""After so long without a word, it is told what is waited for."""
PIPED_SECONDS = 5.0
"""The least time between two lines that tell so, where there is no terminal to draw on."""
_ERASE = b"\r\x1b[K"


def label(node: Instance) -> str:
    """What a node is called in front of its lines; `--instance` takes the address."""
    return f"{node.tags.get(TAG_GROUP, '')} {node.private_ip}".strip()


class Live:
    """Writes what nodes say as they say it: bytes as they are for one node, ``node | line`` for several.

    Implements ``hcluster.flows.reach.Watch``. While nothing is said, a terminal on standard error shows how many are
    still at it; where that is no terminal, a line does now and then. Never within a line that a node has begun.
    """

    def __init__(self, nodes: Sequence[Instance]) -> None:
        self._prefix = {}
        if len(nodes) > 1:
            width = max(len(label(node)) for node in nodes)
            self._prefix = {node.id: f"{label(node).ljust(width)} | ".encode() for node in nodes}
        self._rest: dict[tuple[str, bool], bytes] = {}
        self._running = len(nodes)
        self._all = len(nodes)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._status = self._told = b""
        self._said = threading.Event()
        self._terminal = sys.stderr.isatty()
        self._one = f"{label(nodes[0])} still runs it"
        self._between = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._tell, name="hcluster-exec-status", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._said.set()
        with self._lock:
            self._erase()

    def output(self, node: Instance, piece: bytes, *, stderr: bool) -> None:
        """Write what makes whole lines; the rest waits for its end."""
        self._said.set()
        with self._lock:
            if node.id in self._prefix:
                *lines, rest = (self._rest.pop((node.id, stderr), b"") + piece).split(b"\n")
                while len(rest) > LONGEST_LINE:
                    lines.append(rest[:LONGEST_LINE])
                    rest = rest[LONGEST_LINE:]
                if rest:
                    self._rest[node.id, stderr] = rest
                piece = b"".join(self._prefix[node.id] + line + b"\n" for line in lines)
            self._write(piece, stderr=stderr)

    def ended(self, node: Instance, code: int, reason: str) -> None:  # noqa: ARG002 - the summary tells both
        """Write what is left of a node's last lines."""
        with self._lock:
            for stderr in (False, True):
                rest = self._rest.pop((node.id, stderr), b"")
                self._write(self._prefix.get(node.id, b"") + rest + b"\n" if rest else b"", stderr=stderr)
            self._running -= 1

    def _write(self, data: bytes, *, stderr: bool) -> None:
        if data:
            self._erase()
            stream: BinaryIO = sys.stderr.buffer if stderr else sys.stdout.buffer
            stream.write(data)
            stream.flush()
            self._between = data.endswith(b"\n")

    def _erase(self) -> None:
        if self._status:
            self._status = b""
            sys.stderr.buffer.write(_ERASE)
            sys.stderr.buffer.flush()

    def _tell(self) -> None:
        """How many nodes are waited for, in a line that goes with the next word."""
        while not self._over.is_set():
            if self._said.wait(SILENCE_SECONDS):
                self._said.clear()
                continue
            with self._lock:
                if self._over.is_set() or not self._running or not self._between:
                    continue
                status = f"{self._running} of {self._all} nodes still run it" if self._prefix else self._one
                if self._terminal:
                    self._draw(f"… {status}".encode())
                else:
                    self._line(status)
            if not self._terminal:
                self._over.wait(PIPED_SECONDS)

    def _line(self, status: str) -> None:
        if status.encode() != self._told:
            self._told = status.encode()
            sys.stderr.buffer.write(f"{time.strftime('%H:%M:%S')} {status}\n".encode())
            sys.stderr.buffer.flush()

    def _draw(self, status: bytes) -> None:
        if status != self._status:
            sys.stderr.buffer.write(_ERASE + status)
            sys.stderr.buffer.flush()
            self._status = status


class Count:
    """Reports how many nodes are done, once that takes longer than a moment. Implements ``Watch``."""

    def __init__(self, total: int, report: Report) -> None:
        self._total = total
        self._report = report
        self._done = 0
        self._lock = threading.Lock()
        self._late = False
        self._timer = threading.Timer(SILENCE_SECONDS, self._begin)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def output(self, node: Instance, piece: bytes, *, stderr: bool) -> None:
        """Only ends count."""

    def ended(self, node: Instance, code: int, reason: str) -> None:  # noqa: ARG002
        """Count it."""
        with self._lock:
            self._done += 1
            self._tell()

    def _begin(self) -> None:
        with self._lock:
            self._late = True
            self._tell()

    def _tell(self) -> None:
        if self._late:
            state = "ok" if self._done == self._total else "running"
            self._report(Progress("exec", f"running on {self._total} nodes", self._done, self._total, state))


def folded(results: Sequence[Result]) -> bytes:
    """The output of all nodes, written once for those that said the same and ended the same; in the order of nodes."""
    same: dict[tuple[int, bytes, bytes], list[Instance]] = {}
    for node, code, out, err in results:
        same.setdefault((code, out, err), []).append(node)
    parts = []
    for (code, out, err), nodes in same.items():
        ended = f", exit code {code}" if code else ""
        named = ", ".join(label(node) for node in nodes)
        parts.append(f"== {len(nodes)} of {len(results)}: {named}{ended}\n".encode())
        parts += [text if text.endswith(b"\n") else text + b"\n" for text in (out, err) if text]
    return b"".join(parts)


def failures(results: Sequence[Result]) -> list[str]:
    """Lines that say how many of several nodes failed, which, and how; none when none did."""
    failed = [(node, code, err) for node, code, _, err in results if code]
    if not failed:
        return []
    if len(results) == 1:
        # What its command said is out; what is left is why there is no exit code of it.
        return [err.decode(errors="replace") for _, _, err in failed if err]
    lines = [f"{len(failed)} of {len(results)} nodes failed:"]
    return lines + [
        f"  {label(node)}: {err.decode(errors='replace') or f'exit code {code}'}" for node, code, err in failed
    ]
