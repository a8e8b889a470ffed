"""``hcluster job logs --follow``: what an application's containers write, as they write it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hcluster.cli.output.pipes import reader_gone
from hcluster.cli.output.render import clean
from hcluster.errors import NotFoundError
from hcluster.executors.application import full_id

if TYPE_CHECKING:
    from hcluster.executors.applications import ResourceManager
    from hcluster.executors.container_logs import LogFile, Logs
    from hcluster.executors.log_following import Following
    from hcluster.ports import Clock


def follow(
    manager: ResourceManager,
    reader: Logs,
    clock: Clock,
    given: str,
    *,
    chosen: Callable[[LogFile], bool],
    tail: int,
) -> None:
    """Write until the application has ended, Ctrl-C, or nobody reads any more; how it ended goes to stderr.

    Raises:
        NotFoundError: there is no such application, or it has ended and left no logs.
    """
    from hcluster.executors.log_following import Following

    try:
        application = manager.meant(given)
    except NotFoundError:
        # Only what was collected of it is known still: that is its end.
        if not full_id(given) or not reader.collected(full_id(given)):
            raise
        application = None
    following = Following(manager, reader, clock, chosen)
    if application is not None and application.state in ("submitted", "accepted"):
        print(f"{application.id} is {application.state}: no container of it runs yet", file=sys.stderr, flush=True)
    try:
        _write(following.news(application.id if application else full_id(given), tail=tail, gone=reader_gone))
    except KeyboardInterrupt:
        return
    _tell_end(following)


def _write(news: Iterator[tuple[LogFile, Iterator[bytes]]]) -> None:
    """With a heading wherever another file goes on; a line that is written in two parts stays one, when nothing is
    between them."""
    out, screen = sys.stdout.buffer, sys.stdout.isatty()
    before: tuple[str, str] | None = None
    last = b"\n"
    for log, pieces in news:
        if before != (log.container, log.file):
            before = (log.container, log.file)
            begin = "" if last == b"\n" else "\n"
            out.write(f"{begin}==> {log.container} on {log.node}, {log.file} <==\n".encode())
        for piece in pieces:
            out.write(clean(piece.decode(errors="replace")).encode() if screen else piece)
            last = piece[-1:] or last
        out.flush()
    out.write(b"" if last == b"\n" else b"\n")
    out.flush()


def _tell_end(following: Following) -> None:
    if following.lacks:
        print(f"what its containers wrote last is not told: {following.lacks}", file=sys.stderr, flush=True)
    last = following.last
    if last is not None and (following.forgotten or not last.live):
        state = "the ResourceManager does not know it any more" if following.forgotten else last.state
        print(f"{last.id}: {state}", file=sys.stderr, flush=True)
