"""The control channel of a cloud: its protocol, its socket, its errors with their cures; and things at their time."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from hcluster.errors import HclusterError, LocalCloudError, NotFoundError, SpecError, UsageError
from hcluster.localcloud import channel
from hcluster.localcloud.agenda import Agenda
from hcluster.localcloud.settings import CloudSettings, settings_on


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CloudSettings:
    monkeypatch.setattr(CloudSettings, "runtime", tmp_path)
    return settings_on("unit", tmp_path, IPv4Network("10.77.0.0/16"))


@pytest.fixture
def serving(settings: CloudSettings) -> Iterator[CloudSettings]:
    with channel.Channel(channel.path_of(settings), _handle):
        yield settings


def _handle(command: str, arguments: Mapping[str, Any]) -> Any:
    if command == "fail":
        raise NotFoundError("there is no such thing", context="looked", hint="make one")
    if command == "break":
        raise ZeroDivisionError
    if command == "sleep":
        time.sleep(arguments["seconds"])
    return {"command": command, **arguments}


def test_a_request_is_answered(serving: CloudSettings) -> None:
    assert channel.ask(serving, "list", {"a": [1, "ü"]}) == {"command": "list", "a": [1, "ü"]}


def test_many_ask_at_once_and_a_slow_one_holds_up_nobody(serving: CloudSettings) -> None:
    slow = threading.Thread(target=channel.ask, args=(serving, "sleep", {"seconds": 1.0}))
    slow.start()
    begun = time.monotonic()
    assert channel.ask(serving, "list", {}) == {"command": "list"}
    assert time.monotonic() - begun < 1.0
    slow.join()


def test_an_error_arrives_as_it_was_raised(serving: CloudSettings) -> None:
    with pytest.raises(NotFoundError, match="there is no such thing") as raised:
        channel.ask(serving, "fail", {})
    assert (raised.value.context, raised.value.hint) == ("looked", "make one")


def test_a_bug_of_the_cloud_is_told_as_one(serving: CloudSettings) -> None:
    with pytest.raises(LocalCloudError, match="the local cloud failed: ZeroDivisionError"):
        channel.ask(serving, "break", {})


def test_only_the_owner_can_open_the_socket(serving: CloudSettings) -> None:
    assert stat.S_IMODE(channel.path_of(serving).stat().st_mode) == 0o600


def test_a_cloud_that_does_not_run_is_told_with_the_cure(settings: CloudSettings) -> None:
    with pytest.raises(LocalCloudError, match="the local cloud unit is not running") as raised:
        channel.ask(settings, "list", {})
    assert raised.value.hint == "hcluster local start --name unit"


def test_the_socket_of_a_killed_daemon_is_no_running_cloud_and_is_replaced(settings: CloudSettings) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(channel.path_of(settings)))
    with pytest.raises(LocalCloudError, match="is not running"):
        channel.ask(settings, "list", {})
    with channel.Channel(channel.path_of(settings), _handle):
        assert channel.ask(settings, "list", {}) == {"command": "list"}
    assert not channel.path_of(settings).exists()


def test_a_cloud_that_does_not_answer_is_given_up(serving: CloudSettings) -> None:
    with pytest.raises(LocalCloudError, match=r"did not answer within 0\.1 s"):
        channel.ask(serving, "sleep", {"seconds": 0.5}, timeout=0.1)


def test_who_says_nothing_or_nonsense_gets_an_error_and_harms_nobody(serving: CloudSettings) -> None:
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as odd:
        silent.connect(str(channel.path_of(serving)))
        odd.connect(str(channel.path_of(serving)))
        odd.sendall(b"hello\n")
        with odd.makefile("rb") as stream, pytest.raises(UsageError, match="in words"):
            channel.read_answer(stream.readline())
        assert channel.ask(serving, "list", {}) == {"command": "list"}


@pytest.mark.usefixtures("serving")
def test_waiting_for_requests_costs_nothing() -> None:
    threads = [thread for thread in threading.enumerate() if thread.name == "channel"]
    assert len(threads) == 1
    status = Path(f"/proc/self/task/{threads[0].native_id}/status")

    def woken() -> list[str]:
        return [line for line in status.read_text().splitlines() if "ctxt_switches" in line]

    time.sleep(0.1)
    before = woken()
    time.sleep(0.6)
    assert woken() == before


@pytest.mark.parametrize("line", [b"", b"[]", b'{"command": 1, "arguments": {}}', b'{"command": "x"}', b"{"])
def test_what_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(UsageError):
        channel.read_request(line)


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"error": {}}'])
def test_what_is_no_answer_is_told(line: bytes) -> None:
    with pytest.raises(LocalCloudError, match="gave no answer"):
        channel.read_answer(line)


@pytest.mark.parametrize("kind", [UsageError, SpecError, LocalCloudError])
def test_each_kind_of_error_goes_through_the_channel_with_its_reference(kind: type[HclusterError]) -> None:
    with pytest.raises(HclusterError, match="text") as raised:
        channel.read_answer(channel.failure_line(kind("text")))
    assert raised.value.reference == kind.reference


# The agenda


def test_jobs_are_done_at_their_time_in_order_and_the_thread_goes_when_all_are_done() -> None:
    agenda, done = Agenda(), []
    now = time.time()
    for number, when in ((2, 0.2), (1, 0.1), (0, -5)):
        agenda.at(now + when, lambda number=number: done.append(number))  # type: ignore[misc]
    while len(done) < 3:
        assert time.time() < now + 10
        time.sleep(0.01)
    assert done == [0, 1, 2]
    assert time.time() >= now + 0.2
    time.sleep(0.05)
    assert agenda._thread is None
    agenda.at(0, lambda: done.append(3))
    while len(done) < 4:
        assert time.time() < now + 10
        time.sleep(0.01)


def test_a_job_that_fails_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    agenda, done = Agenda(), threading.Event()
    agenda.at(0, {}.popitem)  # type: ignore[arg-type]
    agenda.at(0, done.set)
    assert done.wait(10)
    assert "a job of the agenda failed" in caplog.text


def test_a_closed_agenda_does_nothing_more() -> None:
    agenda, done = Agenda(), threading.Event()
    agenda.at(time.time() + 0.2, done.set)
    agenda.close()
    agenda.at(0, done.set)
    assert not done.wait(0.4)
