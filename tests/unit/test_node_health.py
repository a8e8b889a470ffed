from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from hcluster.errors import DeadlineError, NodeFailedError, UnreachableError
from hcluster.node import health
from hcluster.node.health import MAX_RESTARTS, Check, Join, UnitState
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


def states(monkeypatch: pytest.MonkeyPatch, *told: UnitState) -> list[set[str]]:
    """systemd says one after the other of every unit, the last one for ever; what it was asked for."""
    left, asked = list(told), []

    def unit_states(units: Collection[str]) -> dict[str, UnitState]:
        asked.append(set(units))
        state = left.pop(0) if len(left) > 1 else left[0]
        return dict.fromkeys(units, state)

    monkeypatch.setattr(health, "unit_states", unit_states)
    return asked


def test_an_open_port_of_an_active_unit_is_well(monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
    states(monkeypatch, UnitState("active", started=17.5))
    found = health.wait([Check("namenode", "hadoop-namenode.service", "127.0.0.1", listening)], 5)
    assert list(found.up) == ["namenode"]
    assert found.started == {"namenode": 17.5}


def test_a_failed_unit_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    states(monkeypatch, UnitState("failed"))
    with pytest.raises(NodeFailedError, match="hadoop-datanode"):
        health.wait([Check("datanode", "hadoop-datanode.service", "127.0.0.1", closed)], 60)


def test_a_daemon_that_keeps_failing_ends_the_wait(monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    states(monkeypatch, UnitState("activating", MAX_RESTARTS))
    with pytest.raises(NodeFailedError, match="started 7 times"):
        health.wait([Check("hiveserver2", "hive-server2.service", "127.0.0.1", closed)], 60)


def test_a_daemon_that_does_not_come_up_is_named_with_its_port(monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    states(monkeypatch, UnitState("activating"))
    with pytest.raises(DeadlineError, match=rf"hive-server2\.service \(port {closed}\)"):
        health.wait([Check("hiveserver2", "hive-server2.service", "127.0.0.1", closed)], 0.3)


def test_a_unit_without_a_port_is_well_once_it_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    states(monkeypatch, UnitState("activating"), UnitState("active"))
    assert list(health.wait([Check("volume", "hcluster-volume-x.service", "10.0.0.7", 0)], 20).up) == ["volume"]
    states(monkeypatch, UnitState("activating"))
    with pytest.raises(DeadlineError, match=r"hcluster-volume-x\.service$"):
        health.wait([Check("volume", "hcluster-volume-x.service", "10.0.0.7", 0)], 0)


def test_units_that_do_not_serve_are_asked_for_together_and_seldom(
    monkeypatch: pytest.MonkeyPatch, listening: int, closed: int
) -> None:
    """A question is a process, and daemons that start want the processors."""
    asked = states(monkeypatch, UnitState("active"))
    monkeypatch.setattr(health, "UNITS_SECONDS", 3600.0)
    checks = [Check("a", "a.service", "127.0.0.1", closed), Check("b", "b.service", "127.0.0.1", closed)]
    served = Check("c", "c.service", "127.0.0.1", listening)
    with pytest.raises(DeadlineError):
        health.wait([*checks, served], 1)
    assert asked == [{"a.service", "b.service", "c.service"}]


def test_a_unit_is_asked_for_as_soon_as_its_port_is_open(monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
    asked = states(monkeypatch, UnitState("activating"), UnitState("active"))
    monkeypatch.setattr(health, "UNITS_SECONDS", 3600.0)
    assert list(health.wait([Check("c", "c.service", "127.0.0.1", listening)], 60).up) == ["c"]
    assert len(asked) == 2


def test_states_are_read_from_what_systemd_prints() -> None:
    text = (
        "NRestarts=0\nExecMainStartTimestampMonotonic=2500000\nId=a.service\nActiveState=active\n\n"
        "Id=b.mount\nActiveState=inactive\n\n"
        "NRestarts=3\nExecMainStartTimestampMonotonic=0\nId=c.service\nActiveState=failed\n"
    )
    assert health.parse_states(text, 1000.0) == {
        "a.service": UnitState("active", 0, 1002.5),
        "b.mount": UnitState("inactive"),
        "c.service": UnitState("failed", 3),
    }
    assert health.parse_states("", 0.0) == {}


class Master(http.server.BaseHTTPRequestHandler):
    """Answers with the page that is next, the last one for ever."""

    pages: ClassVar[list[tuple[int, str]]] = []

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay quiet."""

    def do_GET(self) -> None:
        code, text = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def master() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Master)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ws/v1/cluster/nodes/me:8041"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_worker_has_joined_when_its_master_says_so(master: str) -> None:
    Master.pages = [(404, "no such node"), (200, '{"node":{"state":"NEW"}}'), (200, '{"node":{"state":"RUNNING"}}')]
    found = health.wait_joined([Join("yarn", "hadoop-nodemanager.service", master, '"state":"RUNNING"')], 60)
    assert list(found) == ["yarn"]
    assert len(Master.pages) == 1


def test_a_worker_that_nobody_takes_in_says_so(closed: int) -> None:
    join = Join("yarn", "hadoop-nodemanager.service", f"http://127.0.0.1:{closed}/", "RUNNING")
    with pytest.raises(DeadlineError, match="not taken it in after 0 s: yarn"):
        health.wait_joined([join], 0)


def test_a_release_that_names_nothing_to_join_is_fine(tmp_path: Path) -> None:
    assert health.load_joins(tmp_path / "joins.json") == []
    (tmp_path / "joins.json").write_text(json.dumps([{"name": "yarn", "unit": "u", "url": "http://x/", "text": "t"}]))
    assert health.load_joins(tmp_path / "joins.json") == [Join("yarn", "u", "http://x/", "t")]


def test_a_failed_smoke_test_ends_the_wait_for_daemons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: int
) -> None:
    states(monkeypatch, UnitState("activating"))
    (tmp_path / "s3a").write_text("#!/bin/sh\necho no bucket\nexit 4\n")
    (tmp_path / "s3a").chmod(0o755)
    smoke = health.Smoke(tmp_path, 60)
    with pytest.raises(NodeFailedError, match="s3a failed with exit code 4") as raised:
        health.wait([Check("a", "a.service", "127.0.0.1", closed)], 300, watch=smoke.watch)
    assert "no bucket" in raised.value.context
    with pytest.raises(NodeFailedError, match="exit code 4"):
        smoke.result()


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
