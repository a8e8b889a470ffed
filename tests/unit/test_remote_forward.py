"""Local ports that lead into a cluster, over a real SSH server on loopback."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hcluster.errors import ConflictError, DeniedError, HclusterError, NotFoundError, UnreachableError
from hcluster.remote.forward import PortForward, SocksProxy
from hcluster.remote.session import SshRemote
from tests.unit.listening import end_listening
from tests.unit.sshd import SshServer
from tests.unit.test_remote_session import NODE, connector


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[SshRemote]:
    with SshServer(tmp_path) as server, connector(server).connect(NODE, "c") as session:
        yield session


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A service on the node that sends back what it gets, and says when it ended."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(client: socket.socket) -> None:
        with client:
            while data := client.recv(65536):
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


class Way:
    """Leads `web.internal` to the node's loopback, and nothing else anywhere."""

    def __init__(self, remote: SshRemote) -> None:
        self.remote = remote
        self.asked: list[tuple[str, int]] = []
        self.refused: list[str] = []

    def __call__(self, host: str, port: int) -> Any:
        self.asked.append((host, port))
        if host == "gone.internal":
            raise NotFoundError("the cluster is gone")
        if host not in ("web.internal", "10.1.2.3"):
            raise DeniedError(f"{host} is no node")
        return self.remote.open_channel("127.0.0.1", port)

    def told(self, cause: HclusterError) -> None:
        self.refused.append(cause.message)


@pytest.fixture
def way(remote: SshRemote) -> Way:
    return Way(remote)


@pytest.fixture
def socks(way: Way) -> Iterator[SocksProxy]:
    with SocksProxy(way, way.told, local_port=0) as proxy:
        yield proxy


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def named(host: str, port: int, command: int = 1) -> bytes:
    name = host.encode()
    return bytes([5, command, 0, 3, len(name)]) + name + struct.pack("!H", port)


def greeted(client: socket.socket) -> socket.socket:
    client.sendall(b"\x05\x02\x00\x02")
    assert client.recv(2) == b"\x05\x00"
    return client


def answer(client: socket.socket, request: bytes) -> int:
    client.sendall(request)
    said = b""
    while len(said) < 10:
        piece = client.recv(10 - len(said))
        assert piece, said
        said += piece
    assert (said[0], said[2:]) == (5, b"\0\x01" + bytes(6))
    return said[1]


def test_a_name_of_the_cluster_leads_there_with_all_bytes_both_ways(
    socks: SocksProxy, way: Way, echo_port: int
) -> None:
    body = bytes(range(256)) * 4000
    with greeted(dial(socks.port)) as client:
        assert answer(client, named("web.internal", echo_port)) == 0
        sender = threading.Thread(target=client.sendall, args=(body,))
        sender.start()
        back = b""
        while len(back) < len(body):
            back += client.recv(65536)
        sender.join()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""
    assert back == body
    assert way.asked == [("web.internal", echo_port)]


def test_an_address_is_taken_as_well_as_a_name(socks: SocksProxy, way: Way, echo_port: int) -> None:
    with greeted(dial(socks.port)) as client:
        assert answer(client, b"\x05\x01\x00\x01" + bytes([10, 1, 2, 3]) + struct.pack("!H", echo_port)) == 0
    with greeted(dial(socks.port)) as client:
        assert answer(client, b"\x05\x01\x00\x04" + bytes(15) + b"\x01" + struct.pack("!H", 80)) == 2
    assert way.asked == [("10.1.2.3", echo_port), ("::1", 80)]


def test_what_is_not_the_clusters_is_refused_and_told(socks: SocksProxy, way: Way) -> None:
    for host in ("www.example.com", "127.0.0.1", "localhost", "169.254.169.254"):
        with greeted(dial(socks.port)) as client:
            assert answer(client, named(host, 80)) == 2
            assert client.recv(1) == b""
    with greeted(dial(socks.port)) as client:
        assert answer(client, named("gone.internal", 80)) == 1
    assert way.refused[0] == "www.example.com is no node"
    assert way.refused[-1] == "the cluster is gone"
    assert len(way.refused) == 5


def test_a_port_where_nothing_listens_is_a_refused_connection(socks: SocksProxy, way: Way) -> None:
    with socket.socket() as bound:  # and not listening, so that nobody else does
        bound.bind(("127.0.0.1", 0))
        with greeted(dial(socks.port)) as client:
            assert answer(client, named("web.internal", bound.getsockname()[1])) == 5
    assert "nothing answers on" in way.refused[0]


@pytest.mark.parametrize(("request_", "code"), [(named("web.internal", 80, 2), 7), (b"\x05\x01\x00\x09", 8)])
def test_other_commands_and_kinds_of_addresses_are_refused(
    socks: SocksProxy, way: Way, request_: bytes, code: int
) -> None:
    with greeted(dial(socks.port)) as client:
        assert answer(client, request_) == code
    assert way.asked == []


def test_a_browser_that_takes_it_for_a_web_server_is_told_what_it_is(socks: SocksProxy) -> None:
    with dial(socks.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"400 Bad Request" in client.recv(4096)
    with dial(socks.port) as client:
        client.sendall(b"\x05\x01\x02")
        assert client.recv(10) == b"\x05\xff"


def test_clients_that_go_in_the_middle_of_a_greeting_do_no_harm(socks: SocksProxy, echo_port: int) -> None:
    whole = b"\x05\x01\x00" + named("web.internal", echo_port)
    for length in range(len(whole)):
        with dial(socks.port) as client:
            client.sendall(whole[:length])
    with greeted(dial(socks.port)) as client:
        assert answer(client, named("web.internal", echo_port)) == 0


def test_a_port_that_is_taken_is_told_with_the_cure(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} of this machine is taken") as caught:
            SocksProxy(way, way.told, local_port=port).__enter__()
        assert (caught.value.reference, "--port 0" in caught.value.hint) == ("port-taken", True)


def test_only_this_machine_reaches_it(socks: SocksProxy) -> None:
    assert socks._listener is not None
    assert socks._listener.getsockname()[0] == "127.0.0.1"


def test_at_its_end_connections_end_and_the_port_is_free(way: Way, echo_port: int) -> None:
    with SocksProxy(way, way.told, local_port=0) as proxy:
        client = greeted(dial(proxy.port))
        assert answer(client, named("web.internal", echo_port)) == 0
        port, threads = proxy.port, proxy._threads
    with client:
        assert client.recv(1) == b""
    assert not any(thread.is_alive() for thread in threads)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_page_is_forwarded_and_a_lost_session_closes_the_client(way: Way, echo_port: int) -> None:
    with PortForward(way, "web.internal", echo_port) as forward, dial(forward.port) as client:
        client.sendall(b"ping")
        assert client.recv(10) == b"ping"
        way.remote.close()
        assert client.recv(10) == b""
        with pytest.raises(UnreachableError):
            way("web.internal", echo_port)
