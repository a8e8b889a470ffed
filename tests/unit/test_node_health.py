from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from hcluster.errors import DeadlineError, NodeFailedError, UnreachableError
from hcluster.node import health
from hcluster.node.health import MAX_RESTARTS, Check, UnitState
from hcluster.node.imds import Imds


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> Iterator[int]:
    """A port where nobody listens: it is bound, so that nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_an_open_port_of_an_active_unit_is_well(monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
    monkeypatch.setattr(health, "unit_state", lambda _: UnitState("active"))
    marks = health.wait([Check("namenode", "hadoop-namenode.service", "127.0.0.1", listening)], 5)
    assert list(marks) == ["namenode"]


def test_a_failed_unit_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    monkeypatch.setattr(health, "unit_state", lambda _: UnitState("failed"))
    with pytest.raises(NodeFailedError, match="hadoop-datanode"):
        health.wait([Check("datanode", "hadoop-datanode.service", "127.0.0.1", closed)], 60)


def test_a_daemon_that_keeps_failing_ends_the_wait(monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    monkeypatch.setattr(health, "unit_state", lambda _: UnitState("activating", MAX_RESTARTS))
    with pytest.raises(NodeFailedError, match="started 7 times"):
        health.wait([Check("hiveserver2", "hive-server2.service", "127.0.0.1", closed)], 60)


def test_a_daemon_that_does_not_come_up_is_named_with_its_port(monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    monkeypatch.setattr(health, "unit_state", lambda _: UnitState("activating"))
    with pytest.raises(DeadlineError, match=rf"hive-server2\.service \(port {closed}\)"):
        health.wait([Check("hiveserver2", "hive-server2.service", "127.0.0.1", closed)], 0.3)


def test_a_unit_without_a_port_is_well_once_it_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [UnitState("activating"), UnitState("active")]
    monkeypatch.setattr(health, "unit_state", lambda _: states.pop(0))
    assert list(health.wait([Check("volume", "hcluster-volume-x.service", "10.0.0.7", 0)], 20)) == ["volume"]
    monkeypatch.setattr(health, "unit_state", lambda _: UnitState("activating"))
    with pytest.raises(DeadlineError, match=r"hcluster-volume-x\.service$"):
        health.wait([Check("volume", "hcluster-volume-x.service", "10.0.0.7", 0)], 0)


class Metadata(http.server.BaseHTTPRequestHandler):
    """Version 2 only: no token, no answer."""

    values: ClassVar[dict[str, str]] = {
        "meta-data/instance-id": "i-1",
        "meta-data/instance-type": "m5.large",
        "meta-data/local-ipv4": "10.64.16.5",
        "meta-data/local-hostname": "ip-10-64-16-5.ec2.internal",
        "meta-data/placement/availability-zone": "us-east-1a",
    }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay quiet."""

    def answer(self, code: int, text: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        self.answer(200, "token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "token":
            self.answer(401)
            return
        value = self.values.get(self.path.removeprefix("/latest/"))
        self.answer(404 if value is None else 200, value or "")


@pytest.fixture
def metadata() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_identity_comes_from_version_two_of_the_metadata_service(metadata: str) -> None:
    identity = Imds(metadata).identity()
    assert (identity.instance, identity.ip, identity.user_data) == ("i-1", "10.64.16.5", "")
    assert identity.hostname == "ip-10-64-16-5.ec2.internal"


def test_a_silent_metadata_service_is_an_error_after_the_deadline(closed: int) -> None:
    with pytest.raises(UnreachableError, match="metadata"):
        Imds(f"http://127.0.0.1:{closed}", timeout=0.2).identity(deadline_seconds=0.3)
