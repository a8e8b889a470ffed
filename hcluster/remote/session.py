"""One SSH session to a node: commands, files, channels and a terminal."""

from __future__ import annotations

import secrets
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import paramiko

from hcluster.errors import DeadlineError, NotFoundError, RemoteCommandError, UnreachableError
from hcluster.remote import terminal
from hcluster.remote.command import quote

_CHUNK = 1 << 17
_STREAMED_TAIL = 1 << 20
_POLL_SECONDS = 1.0
_LOST = -1
"""What paramiko gives as exit status when the connection ended before the command did."""


class SshRemote:
    """Implements ``hcluster.ports.Remote``; may be used by several threads at once and as a context manager."""

    def __init__(self, transport: paramiko.Transport, *, what: str) -> None:
        self._transport = transport
        self._what = what

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
        (deadline, Ctrl-C) the command is sent SIGTERM.

        Raises:
            DeadlineError: no end within ``timeout`` seconds.
            UnreachableError: the connection ended before the command did.
        """
        ends = time.monotonic() + timeout
        with self._channel() as channel:
            try:
                channel.exec_command(quote(command))
            except (paramiko.SSHException, EOFError, OSError) as cause:
                raise self._lost(cause) from cause
            _feed(channel, stdin)
            try:
                out, err = self._collect(channel, ends, on_output, on_stderr or on_output)
            except BaseException:
                _terminate(channel)
                raise
            code = channel.recv_exit_status()
        if code == _LOST:
            raise self._lost(None)
        return code, out, err

    def put(self, local: str, remote: str) -> None:
        """Copy a file there (SFTP); the name appears only once its bytes are complete.

        Raises:
            NotFoundError: there is no such local file.
            RemoteCommandError: the node cannot store it.
        """
        if not Path(local).is_file():
            raise NotFoundError(f"there is no file {local} here")
        part = f"{remote}.{secrets.token_hex(4)}.part"
        with self._sftp(f"cannot write {remote}") as sftp:
            try:
                sftp.put(local, part)
                sftp.posix_rename(part, remote)
            except BaseException:
                with suppress(OSError, paramiko.SSHException, EOFError):
                    sftp.remove(part)
                raise

    def get(self, remote: str, local: str) -> None:
        """Copy a file here; the name appears only once its bytes are complete.

        Raises:
            RemoteCommandError: the node cannot read it.
        """
        part = Path(f"{local}.{secrets.token_hex(4)}.part")
        try:
            with self._sftp(f"cannot read {remote}") as sftp:
                sftp.get(remote, str(part))
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def open_channel(self, host: str, port: int) -> paramiko.Channel:
        """A socket-like channel to a TCP port seen from the node (direct-tcpip).

        Raises:
            UnreachableError: nothing listens there, or the connection is gone.
        """
        try:
            return self._transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=30)
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

    def close(self) -> None:
        """End it; safe to repeat."""
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
    def _channel(self) -> Iterator[paramiko.Channel]:
        try:
            channel = self._transport.open_session(timeout=30)
        except (paramiko.SSHException, EOFError, OSError) as cause:
            raise self._lost(cause) from cause
        try:
            yield channel
        finally:
            channel.close()

    @contextmanager
    def _sftp(self, refusal: str) -> Iterator[paramiko.SFTPClient]:
        try:
            sftp = paramiko.SFTPClient.from_transport(self._transport)
            if sftp is None:
                raise self._lost(None)
            with sftp:
                yield sftp
        except (paramiko.SSHException, EOFError) as cause:
            raise self._lost(cause) from cause
        except OSError as cause:
            raise RemoteCommandError(f"{self._what} {refusal}: {(cause.strerror or str(cause)).lower()}") from cause

    def _lost(self, cause: BaseException | None) -> UnreachableError:
        return UnreachableError(
            f"the SSH connection to {self._what} ended",
            context=str(cause or ""),
            hint="look at its state with: hcluster nodes NAME",
        )


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
