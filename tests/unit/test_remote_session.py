"""Sessions against a real SSH server on loopback."""

from __future__ import annotations

import os
import pty
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from hcluster.errors import DeadlineError, HostKeyError, NotFoundError, UnreachableError
from hcluster.model.node import CheckIn, Instance
from hcluster.remote.connector import SshConnector
from hcluster.remote.session import SshRemote
from tests.unit.listening import end_listening
from tests.unit.skipped_time import SkippedTime
from tests.unit.sshd import SshServer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODE = Instance("i-1", "running", "127.0.0.1", "n.internal", "m5.large", "a", "spot", "ami-1", NOW)


class Time:
    """A clock that tells the time and counts its sleeps."""

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> float:
        return time.time() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def connector(server: SshServer, body: dict[str, object] | None = None, **options: Any) -> SshConnector:
    body = {"host_keys": [server.host_key_line]} if body is None else body

    def read(_cluster: str, instance: str, phase: str) -> CheckIn:
        if not body:
            raise NotFoundError("no check-in")
        return CheckIn(instance, phase, NOW, body)

    settings: dict[str, Any] = {
        "network_cidrs": lambda: ["127.0.0.0/8"],
        "port": server.port,
        "clock": Time(),
        "deadline": 5,
    } | options
    return SshConnector(
        checkins=SimpleNamespace(read=read), compute=SimpleNamespace(push_ssh_key=server.push), **settings
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def remote(server: SshServer) -> Iterator[SshRemote]:
    with connector(server).connect(NODE, "c") as session:
        yield session


def test_output_and_exit_code_come_back(remote: SshRemote) -> None:
    assert remote.run("echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n")


def test_a_sequence_is_not_interpreted_by_the_shell(remote: SshRemote) -> None:
    assert remote.run(["printf", "%s", "a b; $HOME '"]) == (0, b"a b; $HOME '", b"")


def test_standard_input_reaches_the_command_and_ends(remote: SshRemote) -> None:
    body = os.urandom(3_000_000)
    assert remote.run(["cat"], stdin=body) == (0, body, b"")


def test_a_command_that_reads_no_input_still_ends(remote: SshRemote) -> None:
    assert remote.run(["true"], stdin=b"x" * 5_000_000)[0] == 0


def test_big_output_on_both_streams_is_complete(remote: SshRemote) -> None:
    code, out, err = remote.run("head -c 5000000 /dev/zero & head -c 4000000 /dev/zero >&2; wait")
    assert (code, len(out), len(err)) == (0, 5_000_000, 4_000_000)


def test_output_is_handed_over_as_it_comes_and_its_tail_is_kept(remote: SshRemote) -> None:
    pieces: list[bytes] = []
    _, out, _ = remote.run("head -c 3000000 /dev/zero; echo end", on_output=pieces.append)
    assert sum(map(len, pieces)) == 3_000_004
    assert out.endswith(b"end\n")
    assert len(out) == 1 << 20


def test_a_command_past_its_deadline_raises_and_is_told_to_end(
    remote: SshRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped = SkippedTime()
    monkeypatch.setattr("hcluster.remote.session.time", skipped)
    with pytest.raises(DeadlineError, match="i-1 of c did not end in time"):
        remote.run("echo begun; sleep 30", timeout=20, on_output=lambda _: skipped.skip(20))


def test_a_lost_connection_is_unreachable_and_not_an_exit_code(tmp_path: Path) -> None:
    with SshServer(tmp_path) as server:
        session = connector(server).connect(NODE, "c")
        with pytest.raises(UnreachableError, match="connection to i-1 of c ended"):
            session.run("echo begun; sleep 30", timeout=20, on_output=lambda _: server.drop())
        with pytest.raises(UnreachableError):
            session.run(["true"])


def test_a_command_that_sshd_does_not_start_ends_at_its_deadline(tmp_path: Path) -> None:
    with SshServer(tmp_path) as server, connector(server).connect(NODE, "c") as session:
        server.mute_at = "exec"
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="i-1 of c did not start a command"):
            session.run(["true"], timeout=0.3)
        assert time.monotonic() - began < 20, "the server is mute for 30 s"


def test_a_node_that_hangs_ends_the_session_though_its_network_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hcluster.remote.pulse.EVERY_SECONDS", 0.05)
    asks = threading.Semaphore(0)
    ask = paramiko.Transport.global_request

    def counted(transport: paramiko.Transport, kind: str) -> object:
        asks.release()
        return ask(transport, kind)

    monkeypatch.setattr(paramiko.Transport, "global_request", counted)
    with SshServer(tmp_path) as server, connector(server).connect(NODE, "c") as session:
        assert session.run(["sleep", "1"])[0] == 0, "a command may be silent for as long as it likes"
        monkeypatch.setattr("hcluster.remote.pulse.DEAD_SECONDS", 2)
        while asks.acquire(blocking=False):
            pass
        # The first question may have been prepared with the patience from before, the second one was not.
        assert asks.acquire(timeout=60)
        assert asks.acquire(timeout=60)
        server.mute_at = "exec"
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="connection to i-1 of c ended"):
            session.run(["true"], timeout=600)
        assert time.monotonic() - began < 20, "the server is mute for 30 s"
        assert not session.alive()


def test_closing_a_session_ends_the_command_that_another_thread_runs(tmp_path: Path) -> None:
    with SshServer(tmp_path) as server:
        session = connector(server).connect(NODE, "c")
        other = threading.Thread(target=session.close)
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="connection to i-1 of c ended"):
            session.run("echo begun; sleep 30", timeout=25, on_output=lambda _: other.start())
        assert time.monotonic() - began < 20
        other.join()


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A service on the node that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(client: socket.socket) -> None:
        with client:
            while data := client.recv(4096):
                client.sendall(data)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(client,), daemon=True).start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    yield listener.getsockname()[1]
    end_listening(listener, accepting)


def test_a_channel_leads_to_a_port_of_the_node(remote: SshRemote, echo_port: int) -> None:
    channel = remote.open_channel("127.0.0.1", echo_port)
    channel.sendall(b"ping")
    assert channel.recv(10) == b"ping"


def test_a_port_where_nothing_listens_is_unreachable(remote: SshRemote) -> None:
    with socket.socket() as bound:  # and not listening, so that nobody else does
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(UnreachableError, match=f"nothing answers on 127.0.0.1:{port}"):
            remote.open_channel("127.0.0.1", port)


def test_only_the_reported_host_key_is_accepted(server: SshServer) -> None:
    other = paramiko.RSAKey.generate(2048)
    before = len(server.authorized), len(server.commands)
    with pytest.raises(HostKeyError, match="differs from the one in its check-in"):
        connector(server, {"host_keys": [f"{other.get_name()} {other.get_base64()}"]}).connect(NODE, "c")
    assert len(server.commands) == before[1]


def test_a_key_of_another_type_is_not_even_negotiated(server: SshServer) -> None:
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    with pytest.raises(HostKeyError, match="no SSH host key of a type that it reported"):
        connector(server, {"host_keys": [line]}).connect(NODE, "c")


def test_a_node_that_did_not_check_in_is_not_contacted(server: SshServer) -> None:
    before = server.connections
    with pytest.raises(HostKeyError, match="has not checked in"):
        connector(server, {}).connect(NODE, "c")
    assert server.connections == before


def test_a_node_outside_the_network_is_not_contacted(server: SshServer) -> None:
    before = server.connections, len(server.authorized)
    with pytest.raises(UnreachableError, match="outside the platform's network"):
        connector(server, network_cidrs=lambda: ["10.64.0.0/16"]).connect(NODE, "c")
    assert (server.connections, len(server.authorized)) == before


def test_a_node_that_ended_is_refused_with_its_reason(server: SshServer) -> None:
    with pytest.raises(UnreachableError, match="i-1 of c is terminated: spot price"):
        connector(server).connect(replace(NODE, state="terminated", reason="spot price"), "c")


def test_a_refused_key_is_tried_until_the_deadline(server: SshServer) -> None:
    clock = Time()
    attempt = connector(server, clock=clock)
    attempt._compute = SimpleNamespace(push_ssh_key=lambda *_: None)
    with pytest.raises(UnreachableError, match="refused the key that was pushed for its user admin"):
        attempt.connect(NODE, "c")
    assert clock.slept >= 2


def test_a_closed_port_is_unreachable_after_the_deadline(server: SshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(UnreachableError, match=f"127.0.0.1 does not answer on port {port}: connection refused"):
        connector(server, port=port, deadline=3).connect(NODE, "c")


def test_a_server_that_says_nothing_is_unreachable(server: SshServer) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(UnreachableError, match="ended the SSH connection"),
    ):
        connector(server, port=mute.getsockname()[1], deadline=1).connect(NODE, "c")


def test_one_key_is_pushed_once_for_many_sessions(tmp_path: Path) -> None:
    with SshServer(tmp_path) as server:
        opener = connector(server)
        for _ in range(3):
            opener.connect(NODE, "c").close()
        assert len(server.authorized) == 1
        assert server.authorized[0].startswith("ssh-ed25519 ")


def test_a_bastion_with_a_known_key_is_passed(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    mine = paramiko.ECDSAKey.generate()
    mine.write_private_key_file(str(tmp_path / ".ssh" / "id_ecdsa"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with SshServer(tmp_path) as jump:
        jump.authorized.append(f"{mine.get_name()} {mine.get_base64()}")
        known = f"# comment\n[localhost]:{jump.port} {jump.host_key_line}\n"
        opener = connector(server, bastion=f"admin@localhost:{jump.port}", bastion_known_hosts=known)
        with opener.connect(NODE, "c") as first, opener.connect(NODE, "c") as second:
            assert first.run(["echo", "1"])[1] + second.run(["echo", "2"])[1] == b"1\n2\n"
        assert jump.connections == 1
        assert jump.commands == []
        opener.close()
        opener.close()


def test_a_bastion_with_another_key_or_an_unknown_one_is_refused(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    name = f"[127.0.0.1]:{server.port}"
    other = paramiko.RSAKey.generate(2048)
    with pytest.raises(HostKeyError, match="presented another SSH host key"):
        connector(
            server,
            bastion=name.replace("[", "").replace("]", ""),
            bastion_known_hosts=f"{name} {other.get_name()} {other.get_base64()}",
        ).connect(NODE, "c")
    with pytest.raises(HostKeyError, match=r"of the bastion 127.0.0.1 is not known"):
        connector(server, bastion=f"127.0.0.1:{server.port}").connect(NODE, "c")


def test_a_shell_gets_the_terminals_input_and_raw_mode_is_restored(
    remote: SshRemote, server: SshServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import termios

    keyboard, terminal_side = pty.openpty()
    before = termios.tcgetattr(terminal_side)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: terminal_side))
    monkeypatch.setenv("COLUMNS", "101")
    monkeypatch.setenv("LINES", "33")

    def type_in() -> None:
        # What is typed before the terminal is raw is thrown away when it becomes so.
        while termios.tcgetattr(terminal_side) == before:
            time.sleep(0.01)
        os.write(keyboard, b"echo from-$((40 + 2)); exit 7\n")

    threading.Thread(target=type_in, daemon=True).start()
    assert remote.shell() == 7
    assert "from-42" in capfd.readouterr().out
    assert server.terminals[-1] == (101, 33)
    assert termios.tcgetattr(terminal_side) == before


def test_a_shell_without_a_terminal_reads_its_input_to_the_end(
    remote: SshRemote,
    server: SshServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "script").write_text("echo piped\nexit 4\n")
    before = len(server.terminals)
    with (tmp_path / "script").open() as script:
        monkeypatch.setattr(sys, "stdin", script)
        assert remote.shell() == 4
    assert capfd.readouterr().out == "piped\n"
    assert len(server.terminals) == before
