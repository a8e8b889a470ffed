"""Read what a Hadoop client logs while its jobs run, and what ``yarn logs`` prints; pure.

Samples of the lines are in the tests; only the part behind the logger's own columns is looked at, since log4j's
layout is a site's choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hcluster.model.events import Progress

STEP = "job"
_SUBMITTED = re.compile(r"Submitted application (application_\d+_\d+)")
_RUNNING = re.compile(r"Running job: job_(\d+_\d+)")
_PERCENT = re.compile(r"\bmap (\d+)% reduce (\d+)%")
_COUNTERS = re.compile(r"\bCounters: \d+\s*$")
_COUNTER = re.compile(r"\t\t(.+)=(\d+)\s*")
_FAILED = re.compile(r"\b(Job job_\d+_\d+ failed with state .*|Task Id : attempt_\S+, Status : FAILED)")
_TROUBLE = re.compile(
    r'^(?:Error: |Caused by: |Exception in thread "|Usage: |Unknown program |Not a valid JAR)|\b(?:ERROR|FATAL)\b'
)
_KEPT_TROUBLE = 20
_CONTAINER_LOG = re.compile(
    r"^Container: (\S+) on (\S+?)(?:_\d+)?\n.*?^LogType:(\S+)\n.*?^LogContents:\n(.*?)^End of LogType:",
    re.MULTILINE | re.DOTALL,
)
_TELLING = re.compile(r"\b(?:ERROR|FATAL)\b|Exception\b|^Caused by: ")
_NOISE = re.compile(r"^(?:log4j:WARN|INFO: |[A-Z][a-z]{2} \d{1,2}, \d{4} .* [AP]M )|^SLF4J: |^\s*$")
"""What every Java program says when it starts: java.util.logging's two lines a message, Log4j's and SLF4J's own."""
_KEPT_OF_LOG = 15


class Lines:
    """Bytes as they come, as whole lines; ``rest`` gives what stands behind the last line end."""

    def __init__(self) -> None:
        self._open = b""

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that ``piece`` completes."""
        *whole, self._open = (self._open + piece).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")

    def rest(self) -> Iterator[str]:
        """The last line, when it has no end."""
        if self._open:
            yield self._open.decode(errors="replace")
            self._open = b""


@dataclass(slots=True)
class Watch:
    """What is known of the jobs of one client after the lines read so far."""

    applications: list[str] = field(default_factory=list)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of the last job that printed them: group, counter, value."""
    trouble: list[str] = field(default_factory=list)
    """The client's own lines about what went wrong, the first 20."""
    _percent: tuple[int, int] = (0, 0)
    _group: str | None = None
    """The counter group that is being read; None outside of the counters."""

    def read(self, line: str) -> Progress | None:
        """Take one line in; what to show when it brought news."""
        if self._group is not None and self._counter(line):
            return None
        if match := _SUBMITTED.search(line) or _RUNNING.search(line):
            found = match[1] if match[1].startswith("application_") else f"application_{match[1]}"
            if found in self.applications:
                return None
            self.applications.append(found)
            self._percent = (0, 0)
            return self.progress("accepted")
        if match := _PERCENT.search(line):
            self._percent = (int(match[1]), int(match[2]))
            return self.progress()
        if _COUNTERS.search(line):
            self.counters = {}
            self._group = ""
        elif (match := _FAILED.search(line)) or _TROUBLE.search(line):
            self._note(match[1] if match else line)
        return None

    def progress(self, text: str = "") -> Progress:
        """The state of the latest application."""
        mapped, reduced = self._percent
        shown = text or f"map {mapped} %, reduce {reduced} %"
        parts = [*self.applications[-1:], shown]
        return Progress(STEP, " · ".join(parts), (mapped + reduced) // 2, 100)

    def _counter(self, line: str) -> bool:
        """Whether the line still belongs to the counters."""
        if match := _COUNTER.match(line):
            self.counters.setdefault(self._group or "", {})[match[1]] = int(match[2])
            return True
        if line.startswith("\t"):
            self._group = line.strip()
            return True
        self._group = None
        return False

    def _note(self, line: str) -> None:
        if len(self.trouble) < _KEPT_TROUBLE and line not in self.trouble:
            self.trouble.append(line.strip())


def container_logs(text: str, lines: int) -> str:
    """The telling part of what ``yarn logs`` prints, at most ``lines`` lines: its end is mostly launch scripts.

    Of each container the last lines of stderr and stdout, and of syslog those with an error; when there is none of
    these the end of the text as it is.
    """
    kept: list[str] = []
    for container, node, kind, contents in _CONTAINER_LOG.findall(text):
        found = [line for line in contents.splitlines() if not _NOISE.search(line)]
        if kind == "syslog":
            found = [line for line in found if _TELLING.search(line)]
        elif kind not in ("stderr", "stdout"):
            continue
        if found:
            kept += [f"{container} on {node}, {kind}:", *(f"  {line}" for line in found[-_KEPT_OF_LOG:])]
    return "\n".join((kept or text.strip().splitlines())[-lines:])
