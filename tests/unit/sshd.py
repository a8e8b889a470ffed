"""A real SSH server of paramiko on loopback: runs commands with sh in a folder, opens channels."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

import paramiko
from paramiko import common

from tests.unit.listening import end_listening

RSA_BITS = 2048

_GONE = (OSError, EOFError, paramiko.SSHException)
"""What writing says when the client has gone."""


class _Session(paramiko.ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self.server = server
        self.targets: dict[int, socket.socket] = {}
        self.begun: dict[int, subprocess.Popen[bytes]] = {}

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        line = f"{key.get_name()} {key.get_base64()}"
        good = username == "admin" and any(line in allowed for allowed in self.server.authorized)
        return common.AUTH_SUCCESSFUL if good else common.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return common.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        try:
            self.targets[chanid] = socket.create_connection(destination, timeout=2)
        except OSError:
            return common.OPEN_FAILED_CONNECT_FAILED
        return common.OPEN_SUCCEEDED

    def check_channel_pty_request(self, channel: paramiko.Channel, *terminal: Any) -> bool:
        self.server.terminals.append(terminal[1:3])
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self.check_channel_exec_request(channel, b"sh")

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.server.hold("exec")
        self.server.commands.append(command.decode(errors="surrogateescape"))
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd=self.server.folder
        )
        self.server.processes.append(process)
        self.begun[channel.chanid] = process
        return True

    def after_request(self, channel: paramiko.Channel, message: Any) -> None:
        """Answer a request of the channel, and only then say what the command that it began said, as sshd does."""
        paramiko.Channel._handle_request(channel, message)  # type: ignore[attr-defined]
        process = self.begun.pop(channel.chanid, None)
        if process is not None:
            _thread(_carry, channel, process)


class SshServer:
    """Listens on 127.0.0.1:``port`` while the context lasts; user ``admin``, keys as pushed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = paramiko.RSAKey.generate(RSA_BITS)
        self.authorized: list[str] = []
        self.commands: list[str] = []
        self.terminals: list[tuple[Any, ...]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.transports: list[paramiko.Transport] = []
        self.connections = 0
        self.mute_at = ""
        self._leave = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    @property
    def host_key_line(self) -> str:
        return f"{self.key.get_name()} {self.key.get_base64()} root@node"

    def push(self, _instance: str, _user: str, public: str) -> None:
        self.authorized.append(public)

    def hold(self, where: str) -> None:
        """Give no answer at ``mute_at``."""
        if where == self.mute_at:
            self._leave.wait(30)

    def __enter__(self) -> Self:
        self._accepting = _thread(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        end_listening(self._listener, self._accepting)
        self._leave.set()
        self.drop()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def drop(self) -> None:
        """End all connections, as a node that dies does."""
        for transport in self.transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            _thread(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.set_log_channel("hcluster.ssh")
        transport.add_server_key(self.key)
        session = _Session(self)
        transport._channel_handler_table = {  # type: ignore[attr-defined]
            **transport._channel_handler_table,  # type: ignore[attr-defined]
            common.MSG_CHANNEL_REQUEST: session.after_request,
        }
        self.transports.append(transport)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=session)
            while transport.is_active():
                channel = transport.accept(1)
                if channel is not None and channel.chanid in session.targets:
                    _thread(_relay, channel, session.targets.pop(channel.chanid))
        client.close()


def _thread(target: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _carry(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    """Connect a command's streams to its channel and tell its end."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    _thread(_into, channel, process.stdin)
    readers = [_thread(_out, process.stdout, channel.sendall), _thread(_out, process.stderr, channel.sendall_stderr)]
    for reader in readers:
        reader.join()
    code = process.wait()
    with contextlib.suppress(*_GONE):
        channel.send_exit_status(code if code >= 0 else 128 - code)
        channel.close()


def _out(stream: IO[bytes], send: Callable[[bytes], None]) -> None:
    with stream:
        while piece := os.read(stream.fileno(), 65536):
            with contextlib.suppress(*_GONE):
                send(piece)


def _into(channel: paramiko.Channel, stream: IO[bytes]) -> None:
    with contextlib.suppress(*_GONE), stream:
        while piece := channel.recv(65536):
            stream.write(piece)
            stream.flush()


def _relay(channel: paramiko.Channel, target: socket.socket) -> None:
    """Both ways until both ended."""

    def back() -> None:
        with contextlib.suppress(*_GONE):
            while piece := target.recv(65536):
                channel.sendall(piece)
        with contextlib.suppress(*_GONE):
            channel.shutdown_write()

    returning = _thread(back)
    with contextlib.suppress(*_GONE):
        while piece := channel.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    returning.join()
    with contextlib.suppress(*_GONE):
        channel.close()
    target.close()
