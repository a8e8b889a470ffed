"""Logs of an application's containers: of those that run from NodeManagers, of one that ended as YARN collected them.

Both answer with the same frame around a file's text; the JobHistory server serves what was collected of every kind of
application, not of MapReduce alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import quote

from hcluster.errors import HclusterError, NotFoundError
from hcluster.executors.application import Application
from hcluster.executors.applications import ResourceManager
from hcluster.executors.rest import Rest, listed
from hcluster.model.events import Progress, Report, silent
from hcluster.ports import Clock, Remote

STEP = "logs"
HISTORY_PORT = 19888
_COLLECTING = ("NOT_START", "RUNNING", "RUNNING_WITH_FAILURE")
_COLLECT_SECONDS = 30.0
_POLL_SECONDS = 1.0
_LINE_BYTES = 256
"""A guess at a line's length, for how much to ask for when only the last lines are wanted."""
_MOST_TAIL = 16 << 20
_BEGIN = b"LogContents:\n"
_LENGTH = re.compile(rb"^LogLength:\s*(\d+)\s*$", re.MULTILINE)
_NOISE = re.compile(r"launch_container\.sh|directory\.info|prelaunch\..*|history\.txt.*|container-localizer-.*")
"""What YARN itself leaves beside each container's own files."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file that a container wrote."""

    container: str
    node: str
    """The host that the container ran on."""
    file: str
    bytes: int


class Logs:
    """The log files of one application. Raises what ``Rest`` raises."""

    def __init__(self, remote: Remote, host: str, manager: ResourceManager, clock: Clock) -> None:
        self._remote = remote
        self._manager = manager
        self._clock = clock
        self._history = Rest(remote, host, HISTORY_PORT, what="the JobHistory server", unit="hadoop-historyserver")
        self._places: dict[str, tuple[Rest, str]] = {}
        """By container: who serves its files, below which path."""

    def files(self, application: Application, report: Report = silent) -> list[LogFile]:
        """What there is, by container and name; of one that has ended they are waited for, half a minute."""
        return self._running(application) if application.live else self._ended(application, report)

    def collected(self, application: str) -> list[LogFile]:
        """What was collected of an application by its id, whether the ResourceManager knows it or not; [] for none."""
        try:
            told = self._history.get(f"/ws/v1/history/aggregatedlogs?appid={application}")
        except HclusterError as cause:
            # The service answers so when there is no such folder.
            if "Can not find remote application directory" in cause.message or "does not exist" in cause.message:
                return []
            raise
        found = []
        for each in listed(told.get("containerLogsInfo")):
            self._places[str(each["containerId"])] = self._history, "/ws/v1/history"
            found += _files(each)
        return sorted(found, key=lambda one: (one.container, one.file))

    def read(self, log: LogFile, tail: int = 0) -> Iterator[bytes]:
        """The text of a file piece by piece, or its last ``tail`` lines, of at most 16 MiB."""
        return content(self._framed(log), log.file) if tail <= 0 else iter([self.last_lines(log, tail)[1]])

    def end(self, log: LogFile, count: int) -> tuple[int, bytes]:
        """(length of the file as it was just now, its last ``count`` bytes)."""
        framed = self._framed(log, count)
        held = b""
        for piece in framed:
            held += piece
            if _BEGIN in held:
                break
        length = _LENGTH.search(held.partition(_BEGIN)[0])
        text = b"".join(content(chain([held], framed), log.file))
        return int(length[1]) if length else len(text), text

    def last_lines(self, log: LogFile, lines: int) -> tuple[int, bytes]:
        """(length of the file as it was just now, its last ``lines``, of at most 16 MiB)."""
        wanted = lines * _LINE_BYTES
        while True:
            length, text = self.end(log, wanted)
            found = text.splitlines(keepends=True)
            # The first one may be cut when the file has more than was asked for.
            if len(found) > lines or len(text) < wanted or wanted >= _MOST_TAIL:
                return length, b"".join(found[-lines:])
            wanted = min(wanted * 4, _MOST_TAIL)

    def _framed(self, log: LogFile, last: int = 0) -> Iterator[bytes]:
        rest, base = self._places[log.container]
        size = f"?size=-{last}" if last else ""
        return rest.text(f"{base}/containerlogs/{log.container}/{quote(log.file)}{size}")

    def of_node(self, container: str, address: str) -> list[LogFile]:
        """What a container of an application that runs has written so far; [] when YARN has forgotten it meanwhile."""
        host, _, port = address.rpartition(":")
        rest = Rest(self._remote, host, int(port), what=f"the NodeManager on {host}", unit="hadoop-nodemanager")
        try:
            told = rest.get(f"/ws/v1/node/containers/{container}/logs")
        except HclusterError as cause:
            if "Unknown container" in cause.message:
                return []  # it ended since it was listed
            raise
        self._places[container] = rest, "/ws/v1/node"
        return [file for each in listed(told.get("containerLogsInfo")) for file in _files(each)]

    def _running(self, application: Application) -> list[LogFile]:
        there = self._manager.containers(application.id)
        return [file for container, address in there for file in self.of_node(container, address)]

    def _ended(self, application: Application, report: Report) -> list[LogFile]:
        ends = self._clock.now() + _COLLECT_SECONDS
        while application.logs in _COLLECTING and self._clock.now() < ends:
            report(Progress(STEP, f"waiting until the logs of {application.id} are collected"))
            self._clock.sleep(_POLL_SECONDS)
            application = self._manager.application(application.id)
        found = self.collected(application.id)
        if not found:
            raise NotFoundError(
                f"{application.id} left no logs",
                context=application.diagnostics,
                hint="it ended before a container of it started, or its logs were removed after a week"
                if application.logs not in _COLLECTING
                else "they are still being collected: try again in a while",
                reference="no-logs",
            )
        return found


def own(log: LogFile) -> bool:
    """Whether it is a container's own file, and not what YARN itself leaves beside them."""
    return not _NOISE.fullmatch(log.file)


def telling(files: list[LogFile]) -> list[LogFile]:
    """Those of the containers' own that are not empty."""
    return [one for one in files if one.bytes and own(one)]


def content(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The text within YARN's frame around a file: lines up to ``LogContents:``, and ``End of LogType:…``."""
    end = b"End of LogType:" + name.encode()
    # Behind the end stands a sentence about a container that still runs, and a line of stars.
    kept = len(end) + 512
    held = b""
    for piece in pieces:
        held += piece
        head, found, rest = held.partition(_BEGIN)
        if found:
            # What was collected has a line end of YARN's own behind the text.
            if b"LogAggregationType: AGGREGATED" in head:
                end = b"\n" + end
            held = rest
            break
    else:
        return
    for piece in pieces:
        held += piece
        if len(held) > 2 * kept:
            yield held[:-kept]
            held = held[-kept:]
    at = held.rfind(end)
    if at >= 0:
        held = held[:at]
    if held:
        yield held


def _files(told: Mapping[str, Any]) -> list[LogFile]:
    # The host and the NodeManager's port, with a colon or, in names of files, an underscore between them.
    node = re.split(r"[:_]\d+$", str(told.get("nodeId") or ""))[0]
    return sorted(
        (
            LogFile(str(told["containerId"]), node, str(each["fileName"]), int(each.get("fileSize") or 0))
            for each in listed(told.get("containerLogInfo"))
        ),
        key=lambda one: one.file,
    )
