"""job list, kill and logs against a YARN on loopback: what they print, ask and change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from hcluster.cli import app, wire
from hcluster.cli.job import follow as job_follow
from hcluster.errors import HclusterError, UnreachableError
from hcluster.executors import log_following
from hcluster.executors.application import Application, application_of, meant, state_of
from hcluster.executors.container_logs import content
from hcluster.flows import reach, timeline
from hcluster.testing import ManualClock
from tests.unit.cli_output import demand
from tests.unit.yarn_server import STAMP, App, YarnServer, app_id

MR = {
    f"container_{STAMP}_0002_01_000001": {
        "stderr": b"",
        "syslog": b"".join(b"line %d\n" % number for number in range(5000)),
        "launch_container.sh": b"#!/bin/sh\n",
    },
    f"container_{STAMP}_0002_01_000002": {"stderr": "é End of LogType:stderr\nno end".encode(), "stdout": b"out\n"},
}
TEZ = {f"container_{STAMP}_0001_01_000001": {"syslog_dag_1": b"dag\x1b[31m\n", "directory.info": b"x"}}


@pytest.fixture
def yarn(monkeypatch: pytest.MonkeyPatch) -> Iterator[YarnServer]:
    with YarnServer(
        [
            App(1, "HIVE-1", "hive", "TEZ", logs=TEZ),
            App(2, state="FINISHED", outcome="SUCCEEDED", logs=MR),
            App(3, "count", "bob", state="FAILED", outcome="FAILED"),
            App(4, state="ACCEPTED"),
        ]
    ) as server:
        context = SimpleNamespace(
            principal=SimpleNamespace(user="jane"),
            connector=SimpleNamespace(connect=lambda _instance, _cluster: server),
            clock=ManualClock(),
            report=lambda _progress: None,
        )
        monkeypatch.setattr(wire, "context", lambda _state: context)
        monkeypatch.setattr("hcluster.cli.flow.replace", lambda context, **_changes: context)
        monkeypatch.setattr(reach, "master", lambda _context, _name: SimpleNamespace(private_ip="10.0.0.9"))
        notes = lambda _context, cluster, kind, text: server.calls.append(f"note {cluster} {kind} {text}")  # noqa: E731
        monkeypatch.setattr(timeline, "note", notes)
        yield server


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    """What a command prints as JSON, which fits its schema."""
    assert app.run([*words, "--output", "json"]) == 0
    out = capsys.readouterr().out
    demand(words, out)
    found: list[dict[str, object]] = json.loads(out)
    return found


def test_the_living_are_listed_the_newest_first_hives_sessions_among_them(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["job", "list", "flights"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        *("ID", "NAME", "USER", "TYPE", "STATE", "DONE", "STARTED", "ELAPSED", "MIB", "VCORES"),
    ]
    assert [line.split()[:5] for line in lines] == [
        [app_id(4), "QuasiMonteCarlo", "jane", "MAPREDUCE", "accepted"],
        [app_id(1), "HIVE-1", "hive", "TEZ", "running"],
    ]
    assert yarn.calls[0] == "channel 10.0.0.9:8088"
    assert yarn.calls[-1] == "closed"


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--all"], [4, 3, 2, 1]),
        (["--state", "succeeded"], [2]),
        (["--state", "FAILED", "--state", "running"], [3, 1]),
        (["--state", "killed"], []),
        (["--all", "--user", "bob"], [3]),
        (["--user", "hive"], [1]),
    ],
)
def test_lists_are_chosen_by_state_and_user(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str], words: list[str], numbers: list[int]
) -> None:
    assert [one["id"] for one in told(capsys, "job", "list", "flights", *words)] == [*map(app_id, numbers)]


def test_one_as_json_has_times_sizes_and_one_word_for_its_state(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = told(capsys, "job", "list", "flights", "--user", "hive")
    assert {key: one[key] for key in ("state", "progress", "ended", "seconds", "memory_mib", "vcores")} == {
        "state": "running",
        "progress": 41.7,
        "ended": None,
        "seconds": 60.0,
        "memory_mib": 1536,
        "vcores": 2,
    }


def test_an_unknown_state_is_told_before_anything_is_contacted(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["job", "list", "flights", "--state", "dead"]) == 2
    assert "one of submitted, accepted, running" in capsys.readouterr().err
    assert yarn.calls == []


def test_nothing_to_list_says_how_to_see_more(yarn: YarnServer, capsys: pytest.CaptureFixture[str]) -> None:
    yarn.apps = yarn.apps[1:3]
    assert app.run(["job", "list", "flights"]) == 0
    assert "--all shows ended ones" in capsys.readouterr().out


def test_kill_waits_for_the_end_notes_it_and_tells_of_those_that_had_ended(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    yarn.apps[0].polls_to_die = 3
    killed = told(capsys, "job", "kill", "flights", app_id(1), app_id(2), app_id(1), "--yes")
    assert killed == [
        {"id": app_id(1), "was": "running", "state": "killed"},
        {"id": app_id(2), "was": "succeeded", "state": "succeeded"},
    ]
    assert yarn.apps[0].killed >= 1
    assert yarn.apps[1].killed == 0
    assert f"note flights job-killed {app_id(1)} (HIVE-1 of hive) was killed" in yarn.calls
    assert app.run(["job", "kill", "flights", app_id(1), "--yes"]) == 0
    assert f"{app_id(1)} had ended before: killed" in capsys.readouterr().out


def test_kill_asks_with_what_is_lost_and_a_no_kills_nothing(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: "n\n"))
    assert app.run(["job", "kill", "flights", "1"]) == 1
    assert "HIVE-1 of hive, running" in capsys.readouterr().err
    assert yarn.apps[0].killed == 0


@pytest.mark.parametrize("words", [[app_id(1)], ["1", "--yes"]])
def test_nobody_to_ask_and_half_an_id_with_yes_are_wrong_usage(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert app.run(["job", "kill", "flights", *words]) == 2
    assert yarn.calls == []


def test_one_that_does_not_die_is_a_missed_deadline(yarn: YarnServer, capsys: pytest.CaptureFixture[str]) -> None:
    yarn.apps[0].polls_to_die = 10_000
    assert app.run(["job", "kill", "flights", app_id(1), "--yes"]) == 1
    assert "did not end within 60 s of being killed [deadline]" in capsys.readouterr().err


def test_logs_of_one_that_has_ended_are_those_that_were_collected(
    yarn: YarnServer, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    yarn.apps[1].collects = 3
    assert app.run(["job", "logs", "flights", "2", "--tail", "2"]) == 0
    first, second = (container.encode() for container in MR)
    assert capsysbinary.readouterr().out == (
        b"==> %b on worker-1, syslog <==\nline 4998\nline 4999\n"
        b"==> %b on worker-1, stderr <==\n\xc3\xa9 End of LogType:stderr\nno end\n"
        b"==> %b on worker-1, stdout <==\nout\n" % (first, second, second)
    )
    assert "channel 10.0.0.9:19888" in yarn.calls


def test_logs_of_one_that_runs_come_from_its_nodes(
    yarn: YarnServer, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert app.run(["job", "logs", "flights", app_id(1)]) == 0
    assert capsysbinary.readouterr().out == b"dag\x1b[31m\n"
    assert "channel worker-1:8042" in yarn.calls


def test_logs_whole_and_chosen_by_container_and_file(yarn: YarnServer, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = told(capsys, "job", "logs", "flights", "2", "--container", "000001", "--file", "syslog")
    whole = MR[str(one["container"])]["syslog"]
    assert (one["bytes"], str(one["text"]).encode(), one["node"]) == (len(whole), whole, "worker-1")
    (script,) = told(capsys, "job", "logs", "flights", "2", "--file", "launch_container.sh")
    assert script["text"] == "#!/bin/sh\n"


def test_logs_of_one_that_the_resourcemanager_forgot_are_read_by_its_whole_id(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    yarn.apps[1].forgotten = True
    assert app.run(["job", "logs", "flights", app_id(2), "--file", "stdout"]) == 0
    assert capsys.readouterr().out == "out\n"


AM, MAP, LATE = (f"container_{STAMP}_0005_01_00000{number}" for number in (1, 2, 3))


def writes(container: str, state: str = "RUNNING", script: bytes = b"", **files: bytes) -> Callable[[App], None]:
    """A container of an application writes on into its files."""

    def step(one: App) -> None:
        one.state, one.outcome = state, "SUCCEEDED"
        there = one.logs.setdefault(container, {"launch_container.sh": script})
        for name, text in files.items():
            there[name] = there.get(name, b"") + text

    return step


def ends(one: App) -> None:
    one.state, one.outcome = "FINISHED", "SUCCEEDED"


def test_followed_logs_are_written_as_they_come_each_byte_once_to_the_applications_end(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    large = b"".join(b"%d\n" % number for number in range(60_000))
    script = [
        writes(AM, "RUNNING", b"#!/bin/sh\n", syslog=b"one\n"),
        writes(MAP, stdout=large),
        writes(AM, syslog=b"two, in "),
        writes(AM, syslog=b"two parts\n"),
        lambda _: None,
        writes(MAP, stdout=large),
        writes(LATE, state="FINISHED", stderr=b"never seen while it ran"),
    ]
    yarn.apps.append(App(5, script=script))
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    written = capfdbinary.readouterr()
    heading = "==> {} on worker-1, {} <==\n"
    assert written.out == (
        heading.format(AM, "syslog").encode()
        + b"one\n"
        + heading.format(MAP, "stdout").encode()
        + large
        + heading.format(AM, "syslog").encode()
        + b"two, in two parts\n"
        + heading.format(MAP, "stdout").encode()
        + large
        + heading.format(LATE, "stderr").encode()
        + b"never seen while it ran\n"
    )
    assert written.err.decode().splitlines() == [f"{app_id(5)}: succeeded"]


def test_followed_logs_begin_with_the_last_lines_and_are_those_that_were_chosen(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = b"".join(b"line %d\n" % number for number in range(100))
    yarn.apps.append(
        App(
            5,
            state="ACCEPTED",
            logs={AM: {"syslog": before, "stderr": b"x\n"}},
            script=[lambda _: None, writes(AM, syslog=b"new\n"), ends],
        )
    )
    assert app.run(["job", "logs", "flights", "5", "--follow", "-n", "2", "-f", "syslog", "-c", "01"]) == 0
    written = capfdbinary.readouterr()
    assert written.out.splitlines()[1:] == [b"line 98", b"line 99", b"new"]
    assert b"no container of it runs yet" in written.err


def test_what_grew_between_two_questions_is_told_once(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_following, "SLACK_BYTES", 1)
    files = {"syslog": b"a"}
    yarn.apps.append(App(5, logs={AM: files}, script=[lambda _: None, writes(AM, syslog=b"b"), ends]))
    served = yarn.answer

    def growing(method: str, path: str, body: bytes) -> object:
        if "containerlogs" in path and "size" in path and files["syslog"].count(b"c") < 20:
            files["syslog"] += b"c" * 10
        return served(method, path, body)

    monkeypatch.setattr(yarn, "answer", growing)
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    assert capfdbinary.readouterr().out.splitlines()[1:] == [b"ab" + b"c" * 20]


def test_a_node_that_is_lost_and_a_resourcemanager_that_is_restarted_do_not_end_the_following(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, down = yarn.open_channel, {8088: 0, 8042: 0}

    def fails(port: int, times: int) -> Callable[[App], None]:
        return lambda _: down.update({port: times})

    def sometimes(host: str, port: int) -> object:
        if down.get(port, 0):
            down[port] -= 1
            raise UnreachableError(f"nothing answers on {host}:{port}")
        return opened(host, port)

    monkeypatch.setattr(yarn, "open_channel", sometimes)
    script = [lambda _: None, fails(8088, 5), fails(8042, 1), writes(AM, syslog=b"b\n"), ends]
    yarn.apps.append(App(5, logs={AM: {"syslog": b"a\n"}}, script=script))
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    assert capfdbinary.readouterr().out.splitlines()[1:] == [b"a", b"b"]
    assert down == {8088: 0, 8042: 0}
    yarn.apps[-1].state, yarn.apps[-1].script = "RUNNING", [fails(8088, 1000)]
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 1


def test_following_what_has_ended_is_reading_it_and_json_cannot_be_followed(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert app.run(["job", "logs", "flights", "2", "--follow", "--file", "stdout"]) == 0
    assert capfdbinary.readouterr().out.endswith(b"stdout <==\nout\n")
    yarn.apps[1].forgotten = True
    assert app.run(["job", "logs", "flights", app_id(2), "--follow", "--file", "stdout"]) == 0
    assert capfdbinary.readouterr().out.endswith(b"stdout <==\nout\n")
    assert app.run(["job", "logs", "flights", "3", "--follow"]) == 1
    assert b"[no-logs]" in capfdbinary.readouterr().err
    assert app.run(["job", "logs", "flights", "2", "--follow", "--output", "json"]) == 2


def test_one_that_the_resourcemanager_forgets_is_told_to_its_end_and_what_is_missing_is_said(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def forgets(one: App) -> None:
        writes(AM, syslog=b"its end\n")(one)
        one.forgotten = True

    yarn.apps.append(App(5, logs={AM: {"syslog": b"a\n"}}, script=[lambda _: None, lambda _: None, forgets]))
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    written = capfdbinary.readouterr()
    assert written.out.splitlines()[1:] == [b"a", b"its end"]
    assert written.err.decode() == f"{app_id(5)}: the ResourceManager does not know it any more\n"

    def uncollected(one: App) -> None:
        ends(one)
        one.collects = 1000

    yarn.apps[-1] = App(5, logs={AM: {"syslog": b"a\n"}}, script=[lambda _: None, lambda _: None, uncollected])
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    err = capfdbinary.readouterr().err.decode()
    assert "what its containers wrote last is not told: they are still being collected" in err
    assert f"{app_id(5)}: succeeded" in err


def test_a_file_that_outgrows_every_question_lets_others_have_their_turn_and_is_told_once(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked for, more has been written when the answer is made."""
    monkeypatch.setattr(log_following, "SLACK_BYTES", 1)
    files, asked = {"syslog": b"a"}, list[str]()
    served = yarn.answer

    def growing(method: str, path: str, body: bytes) -> object:
        if "containerlogs" in path and "size" in path and len(asked) < 50:
            asked.append(path)
            files["syslog"] += b"c" * 10 * len(asked)
        return served(method, path, body)

    monkeypatch.setattr(yarn, "answer", growing)
    script = [
        lambda _: None,
        lambda _: None,
        writes(AM, syslog=b"b"),
        writes(MAP, stdout=b"other\n"),
        *[lambda _: None] * 20,
    ]
    yarn.apps.append(App(5, logs={AM: files}, script=[*script, ends]))
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    out = capfdbinary.readouterr().out
    told = b"".join(line for line in out.splitlines() if line != b"other" and not line.startswith(b"==>"))
    assert told == files["syslog"]
    assert b"other\n" in out


def test_much_that_is_new_is_not_held_in_memory_and_is_told_once(
    yarn: YarnServer, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_following, "MOST_HELD", log_following.SLACK_BYTES + 1000)
    large = b"".join(b"%d\n" % number for number in range(10_000))
    script = [lambda _: None, lambda _: None, writes(AM, syslog=large), writes(AM, syslog=b"b\n"), ends]
    yarn.apps.append(App(5, logs={AM: {"syslog": b"a\n"}}, script=script))
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    assert capfdbinary.readouterr().out.partition(b"\n")[2] == b"a\n" + large + b"b\n"


def test_ctrl_c_and_a_reader_that_has_seen_enough_end_the_following_well(
    yarn: YarnServer, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    yarn.apps.append(App(5, logs={AM: {"syslog": b"a\n"}}))

    def press(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ManualClock, "sleep", lambda _self, seconds: press(seconds))
        assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    assert capfdbinary.readouterr().out.endswith(b"a\n")
    # It writes nothing more: that nobody reads is seen all the same.
    monkeypatch.setattr(job_follow, "reader_gone", lambda: True)
    assert app.run(["job", "logs", "flights", "5", "--follow"]) == 0
    assert yarn.calls[-1] == "closed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["9"], "there is no application 9"),
        ([f"application_{STAMP}_0020"], "did you mean application_"),
        (["count"], f"did you mean {app_id(3)}?"),
        ([f"application_{STAMP}"], "may be any of these applications"),
        (["3"], "left no logs"),
        (["2", "--container", "000009"], f"there is: {min(MR)}"),
        (["2", "--file", "nosuch"], "there is: launch_container.sh, stderr, stdout, syslog"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert app.run(["job", "logs", "flights", *words]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_resourcemanager_that_does_not_answer_is_unreachable(
    yarn: YarnServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_host: str, _port: int) -> object:
        raise UnreachableError("nothing answers on 10.0.0.9:8088")

    monkeypatch.setattr(yarn, "open_channel", refuse)
    assert app.run(["job", "list", "flights"]) == 1
    assert "[unreachable]" in capsys.readouterr().err


def known(*numbers: int) -> list[Application]:
    return [application_of(App(number).told()) for number in numbers]


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (app_id(7), 7),
        (f"job_{STAMP}_0007", 7),
        ("7", 7),
        ("0007", 7),
        (f"{STAMP}_0007", 7),
        ("107", 107),
        (f"application_{STAMP}_01", 107),
    ],
)
def test_an_application_is_meant_by_id_number_or_beginning(given: str, number: int) -> None:
    assert meant(given, known(7, 107, 12)).id == app_id(number)


@pytest.mark.parametrize("given", ["07x", "", "application_", "8", f"job_{STAMP}_0008", "1_0007"])
def test_what_means_none_or_several_is_refused(given: str) -> None:
    with pytest.raises(HclusterError) as caught:
        meant(given, known(7, 107))
    assert caught.value.reference in ("no-application", "ambiguous-name")


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [
        ("NEW_SAVING", "UNDEFINED", "submitted"),
        ("FINISHED", "SUCCEEDED", "succeeded"),
        ("FINISHED", "FAILED", "failed"),
        ("FINISHED", "ENDED", "ended"),
        ("KILLED", "KILLED", "killed"),
    ],
)
def test_two_words_of_yarn_are_one(state: str, outcome: str, expected: str) -> None:
    assert state_of(state, outcome) == expected


@pytest.mark.parametrize("size", [1, 100, 100_000])
@pytest.mark.parametrize("collected", [True, False])
@pytest.mark.parametrize("text", [b"", b"a\n", b"x" * 3000, b"End of LogType:f\n" * 100, b"LogContents:\n\n"])
def test_the_frame_around_a_file_is_taken_off_wherever_it_is_cut(size: int, collected: bool, text: bytes) -> None:
    framed = YarnServer._file(collected, "c", {"c": {"f": text}}, "f", 0)
    pieces = (framed[at : at + size] for at in range(0, len(framed), size))
    assert b"".join(content(pieces, "f")) == text
