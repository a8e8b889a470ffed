"""What an application's containers write, while they write it: NodeManagers are asked again and again what is new.

They serve a file from its end backwards, so that what is new is asked for by its length, with something more, since the
file may have grown between two questions; how long it was then stands in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hcluster.errors import DeadlineError, HclusterError, NotFoundError, UnreachableError
from hcluster.executors.application import Application
from hcluster.executors.applications import ResourceManager
from hcluster.executors.container_logs import LogFile, Logs
from hcluster.ports import Clock

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""So long a ResourceManager may not answer: one that is restarted goes on with its applications."""
SLACK_BYTES = 64 << 10
MOST_HELD = 16 << 20
"""Of what is new of a file, how much is held in memory; more is read piece by piece, from the file's begin."""
_TRIES = 5
"""How often a file may outgrow what was asked for before the other files have their turn."""


def never() -> bool:
    """Nobody goes away."""
    return False


class Following:
    """One application's files, each with what of it was told. Raises what ``Rest`` raises."""

    def __init__(self, manager: ResourceManager, logs: Logs, clock: Clock, chosen: Callable[[LogFile], bool]) -> None:
        self._manager = manager
        self._logs = logs
        self._clock = clock
        self._chosen = chosen
        self._told: dict[tuple[str, str], int] = {}
        """Bytes by container and file."""
        self._open: dict[str, str] = {}
        """Containers that may write still, and the address of who serves their files."""
        self._over: set[str] = set()
        self.last: Application | None = None
        """The application as it was seen last."""
        self.forgotten = False
        """Whether the ResourceManager knows it no more: one that was restarted without its state, or long after."""
        self.lacks = ""
        """Why what was written last could not be told."""

    def news(
        self, application: str, *, tail: int = 0, gone: Callable[[], bool] = never
    ) -> Iterator[tuple[LogFile, Iterator[bytes]]]:
        """Each file with what is new of it, until the application has ended and everything is told, or ``gone``.

        The pieces must be read before the next file is asked for. ``tail``: of what is there at first, the last lines.

        Raises:
            NotFoundError: it has ended and left nothing.
            UnreachableError, DeadlineError: the ResourceManager does not answer for a minute.
        """
        while self._look(application):
            for log in self._listed(application):
                if log.bytes > self._told.get((log.container, log.file), 0) and self._chosen(log):
                    yield log, self._new(log, tail)
            tail = 0
            if gone():
                return
            self._clock.sleep(POLL_SECONDS)
        yield from self._rest(application, tail)

    def _look(self, application: str) -> bool:
        """Whether it lives."""
        ends = self._clock.now() + PATIENCE_SECONDS
        while True:
            try:
                self.last = self._manager.application(application)
            except NotFoundError:
                self.forgotten = True
                return False
            except (UnreachableError, DeadlineError):
                if self._clock.now() >= ends:
                    raise
                self._clock.sleep(POLL_SECONDS)
            else:
                return self.last.live

    def _listed(self, application: str) -> list[LogFile]:
        """The files of all containers that run or have ended since the last look; a node that is lost has none."""
        try:
            running = dict(self._manager.containers(application))
        except HclusterError:
            return []  # the next look tells whether it is for long
        self._open |= {name: address for name, address in running.items() if name not in self._over}
        found: list[LogFile] = []
        for container, address in sorted(self._open.items()):
            try:
                found += self._logs.of_node(container, address)
            except HclusterError:
                continue
            finally:
                if container not in running:
                    # What it wrote last is told now, or when all is collected.
                    del self._open[container]
                    self._over.add(container)
        return found

    def _new(self, log: LogFile, tail: int) -> Iterator[bytes]:
        key = log.container, log.file
        told = self._told.get(key, 0)
        try:
            if not told and tail:
                length, text = self._logs.last_lines(log, tail)
                self._told[key] = length
                yield text
            elif not told:
                yield from self._counted(log, self._logs.read(log))
            else:
                yield from self._grown(log, told)
        except HclusterError:
            return  # the rest of it comes with the next look

    def _counted(self, log: LogFile, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            key = log.container, log.file
            self._told[key] = self._told.get(key, 0) + len(piece)
            yield piece

    def _grown(self, log: LogFile, told: int) -> Iterator[bytes]:
        asked = log.bytes - told + SLACK_BYTES
        for _ in range(_TRIES):
            if asked > MOST_HELD:
                yield from self._counted(log, _after(self._logs.read(log), told))
                return
            length, text = self._logs.end(log, asked)
            if length - len(text) <= told:
                self._told[log.container, log.file] = length
                yield text[told - (length - len(text)) :]
                return
            asked = length - told + SLACK_BYTES

    def _rest(self, application: str, tail: int) -> Iterator[tuple[LogFile, Iterator[bytes]]]:
        """What was collected and not told; of an application that was over from the beginning, that is everything."""
        try:
            known = None if self.forgotten else self.last
            files = self._logs.files(known) if known else self._logs.collected(application)
        except NotFoundError as cause:
            if not self._told:
                raise
            self.lacks = cause.hint
            return
        if not files:
            self.lacks = "nothing was collected of it"
        for log in files:
            told = self._told.get((log.container, log.file), 0)
            if log.bytes > told and self._chosen(log):
                yield log, _after(self._logs.read(log, 0 if told else tail), told)


def _after(pieces: Iterator[bytes], skipped: int) -> Iterator[bytes]:
    """Pieces without their first bytes."""
    for piece in pieces:
        if skipped < len(piece):
            yield piece[skipped:]
        skipped = max(0, skipped - len(piece))
