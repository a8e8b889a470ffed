"""One SSH session to a node: commands, files, channels and a terminal."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

import paramiko

from hcluster.errors import DeadlineError, UnreachableError
from hcluster.ports import Copied, Moved
from hcluster.remote import copies, terminal
from hcluster.remote.command import quote

_CHUNK = 1 << 17
_STREAMED_TAIL = 1 << 20
_POLL_SECONDS = 1.0
_OPEN_SECONDS = 30.0
"""For sshd to open a channel and to start what is asked for in it."""
_SILENT_SECONDS = 60.0
"""When nothing moved for so long, a copy has failed."""
_COPY_SECONDS = 3600.0
_LOST = -1
"""What paramiko gives as exit status when the connection ended before the command did."""


class SshRemote:
    """Implements ``hcluster.ports.Remote``; may be used by several threads at once and as a context manager."""

    def __init__(self, transport: paramiko.Transport, *, what: str) -> None:
        self._transport = transport
        self._what = what
        self._running: set[paramiko.Channel] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bytes = b"",
        timeout: float = 600,
        on_output: Callable[[bytes], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> tuple[int, bytes, bytes]:
        """(exit code, stdout, stderr); a sequence is quoted, a string goes to the node's shell as it is.

        With ``on_output`` each piece of both streams is handed over as it comes (those of stderr to ``on_stderr`` when
        that is given), and of a stream handed over only the last MiB is kept for the result. When the wait ends early
        (deadline, Ctrl-C, ``close`` by another thread) the command is sent SIGTERM.

        Raises:
            DeadlineError: no end within ``timeout`` seconds.
            UnreachableError: the connection ended before the command did.
        """
        ends = time.monotonic() + timeout
        with self._channel(timeout) as channel:
            try:
                with _bounded(channel, min(timeout, _OPEN_SECONDS), f"{self._what} did not start a command"):
                    channel.exec_command(quote(command))
            except (paramiko.SSHException, EOFError, OSError) as cause:
                raise self._lost(cause) from cause
            self._running.add(channel)
            _feed(channel, stdin)
            try:
                out, err = self._collect(channel, ends, on_output, on_stderr or on_output)
            except BaseException:
                _terminate(channel)
                raise
            finally:
                self._running.discard(channel)
            code = channel.recv_exit_status()
        if code == _LOST:
            raise self._lost(None)
        return code, out, err

    def put(
        self,
        sources: Sequence[str],
        target: str,
        *,
        recursive: bool = False,
        timeout: float = _COPY_SECONDS,
        moved: Moved = lambda _done, _of: None,
    ) -> Copied:
        """Copy files there, below ``target`` when it is a folder; each name appears only once its bytes are complete.

        Raises:
            NotFoundError: there is no such local file.
            CopyError: the node cannot store it.
            DeadlineError: no end within ``timeout`` seconds, or nothing moved for a minute.
        """
        chosen = copies.plan(sources, recursive=recursive)
        with self._copying(copies.command("receive", target), f"copying to {self._what}", timeout) as channel:
            return copies.upload(channel, self._what, chosen, moved)

    def get(
        self,
        sources: Sequence[str],
        target: str,
        *,
        recursive: bool = False,
        timeout: float = _COPY_SECONDS,
        moved: Moved = lambda _done, _of: None,
    ) -> Copied:
        """Copy files here, below ``target`` when it is a folder; each name appears only once its bytes are complete.

        Raises:
            CopyError: the node cannot read it, or this machine cannot store it.
            DeadlineError: no end within ``timeout`` seconds, or nothing moved for a minute.
        """
        command = copies.command("send-all" if recursive else "send", *sources)
        with self._copying(command, f"copying from {self._what}", timeout) as channel:
            return copies.download(channel, self._what, target, moved)

    def open_channel(self, host: str, port: int) -> paramiko.Channel:
        """A socket-like channel to a TCP port seen from the node (direct-tcpip).

        Raises:
            UnreachableError: nothing listens there, or the connection is gone.
        """
        try:
            return self._transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=_OPEN_SECONDS)
        except paramiko.ChannelException as cause:
            raise UnreachableError(
                f"nothing answers on {host}:{port}, as seen from {self._what}",
                context=str(cause),
                hint="is the service up? hcluster logs NAME master",
            ) from cause
        except (paramiko.SSHException, EOFError, OSError) as cause:
            raise self._lost(cause) from cause

    def shell(self) -> int:
        """An interactive terminal on the caller's own; its exit code."""
        with self._channel() as channel:
            code = terminal.run(channel)
        if code == _LOST:
            raise self._lost(None)
        return code

    def alive(self) -> bool:
        """Whether the connection still stands, as far as is known here."""
        return self._transport.is_active()

    def close(self) -> None:
        """End it, and with it the commands that other threads run; safe to repeat."""
        for channel in tuple(self._running):
            _terminate(channel)
        self._transport.close()

    def _collect(
        self,
        channel: paramiko.Channel,
        ends: float,
        on_stdout: Callable[[bytes], None] | None,
        on_stderr: Callable[[bytes], None] | None,
    ) -> tuple[bytes, bytes]:
        """Read both streams until both are closed and the exit status is there."""
        out, err = bytearray(), bytearray()
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        while True:
            moved = False
            for ready, read, kept, hand_over in (
                (channel.recv_ready, channel.recv, out, on_stdout),
                (channel.recv_stderr_ready, channel.recv_stderr, err, on_stderr),
            ):
                if ready() and (piece := read(_CHUNK)):
                    moved = True
                    kept.extend(piece)
                    if hand_over is not None:
                        hand_over(piece)
                        del kept[:-_STREAMED_TAIL]
            left = ends - time.monotonic()
            if moved and left > 0:
                continue
            # The status may come before or after the end of the streams; a channel that closed has given all it had.
            if (channel.closed or channel.eof_received) and channel.exit_status_ready():
                if not (channel.recv_ready() or channel.recv_stderr_ready()):
                    return bytes(out), bytes(err)
                continue
            if left <= 0:
                raise DeadlineError(f"a command on {self._what} did not end in time; it was sent SIGTERM")
            if channel.eof_received:
                # The event pipe stays readable from here on, so wait for the status instead.
                channel.status_event.wait(min(left, _POLL_SECONDS))
            else:
                poll.poll(min(left, _POLL_SECONDS) * 1000)

    @contextmanager
    def _channel(self, timeout: float = _OPEN_SECONDS, window: int | None = None) -> Iterator[paramiko.Channel]:
        try:
            channel = self._transport.open_session(window_size=window, timeout=min(timeout, _OPEN_SECONDS))
        except (paramiko.SSHException, EOFError, OSError) as cause:
            raise self._lost(cause) from cause
        try:
            yield channel
        finally:
            _close(channel)

    @contextmanager
    def _copying(self, command: bytes, doing: str, timeout: float) -> Iterator[paramiko.Channel]:
        """A channel in which the node's end of a copy runs."""
        try:
            with self._channel(timeout, window=copies.WINDOW_BYTES) as channel, _bounded(channel, timeout, doing):
                with _bounded(channel, min(timeout, _OPEN_SECONDS), doing):
                    channel.exec_command(command)
                channel.settimeout(min(timeout, _SILENT_SECONDS))
                yield channel
        except (paramiko.SSHException, EOFError, OSError) as cause:
            raise self._lost(cause) from cause

    def _lost(self, cause: BaseException | None) -> UnreachableError:
        return UnreachableError(
            f"the SSH connection to {self._what} ended",
            context=str(cause or ""),
            hint="look at its state with: hcluster nodes NAME",
        )


@contextmanager
def _bounded(channel: paramiko.Channel, seconds: float, what: str) -> Iterator[None]:
    """Close the channel after ``seconds``, since much of paramiko waits for an answer for ever.

    Raises:
        DeadlineError: the block failed because of that, or because the channel's own timeout was over.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        _close(channel)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as cause:
        if over.is_set() or isinstance(cause, TimeoutError):
            raise DeadlineError(
                f"{what}: no answer in time", hint="look at the node's state with: hcluster nodes NAME"
            ) from cause
        raise
    finally:
        timer.cancel()


def _close(channel: paramiko.Channel) -> None:
    """Close it, whatever has become of the connection."""
    with suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    """Send stdin and its end. In a thread, since a command may write much before it reads."""

    def send() -> None:
        # A command need not read its input to the end.
        with suppress(OSError, EOFError, paramiko.SSHException):
            if stdin:
                channel.sendall(stdin)
            channel.shutdown_write()

    if stdin:
        threading.Thread(target=send, name="hcluster-ssh-stdin", daemon=True).start()
    else:
        send()


def _terminate(channel: paramiko.Channel) -> None:
    """Ask sshd to send SIGTERM to the command (RFC 4254, 6.9): closing a channel without a terminal ends nothing."""
    message = paramiko.Message()
    message.add_byte(bytes([98]))  # SSH_MSG_CHANNEL_REQUEST
    message.add_int(channel.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)  # noqa: FBT003 - want-reply
    message.add_string("TERM")
    with suppress(OSError, EOFError, paramiko.SSHException, AttributeError):
        channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined] # noqa: SLF001 - paramiko has no public call
