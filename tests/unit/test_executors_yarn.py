"""YARN jobs: the client's log as progress, and the run of a client on a master behind a real SSH server."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hcluster.errors import DeadlineError, JobFailedError, NotFoundError, UsageError
from hcluster.executors import yarn
from hcluster.executors.client_log import Lines, Watch, container_logs
from hcluster.executors.yarn import Job
from hcluster.model.events import Progress
from hcluster.remote.session import SshRemote
from tests.unit.skipped_time import SkippedTime
from tests.unit.sshd import SshServer
from tests.unit.test_remote_session import NODE, connector

APPLICATION = "application_1700000000000_0003"
LOG = f"""\
2026-11-01 10:00:00,101 INFO client.RMProxy: Connecting to ResourceManager at m/10.64.0.5:8032
2026-11-01 10:00:01,101 INFO input.FileInputFormat: Total input files to process : 4
2026-11-01 10:00:01,601 INFO mapreduce.JobSubmitter: Submitting tokens for job: job_1700000000000_0003
2026-11-01 10:00:02,001 INFO impl.YarnClientImpl: Submitted application {APPLICATION}
2026-11-01 10:00:02,101 INFO mapreduce.Job: The url to track the job: http://m:8088/proxy/{APPLICATION}/
2026-11-01 10:00:02,102 INFO mapreduce.Job: Running job: job_1700000000000_0003
2026-11-01 10:00:07,001 INFO mapreduce.Job: Job job_1700000000000_0003 running in uber mode : false
2026-11-01 10:00:07,002 INFO mapreduce.Job:  map 0% reduce 0%
2026-11-01 10:00:09,002 INFO mapreduce.Job:  map 50% reduce 0%
2026-11-01 10:00:11,002 INFO mapreduce.Job:  map 100% reduce 33%
2026-11-01 10:00:12,002 INFO mapreduce.Job:  map 100% reduce 100%
2026-11-01 10:00:12,402 INFO mapreduce.Job: Job job_1700000000000_0003 completed successfully
2026-11-01 10:00:12,502 INFO mapreduce.Job: Counters: 54
\tFile System Counters
\t\tFILE: Number of bytes read=94
\t\tS3A: Number of bytes written=215
\tJob Counters\x20
\t\tLaunched map tasks=4
\tShuffle Errors
\t\tBAD_ID=0
Job Finished in 12.8 seconds
"""
FAILED = f"""\
2026-11-01 10:00:02,001 INFO impl.YarnClientImpl: Submitted application {APPLICATION}
2026-11-01 10:00:09,002 INFO mapreduce.Job: Task Id : attempt_1700000000000_0003_m_000000_0, Status : FAILED
Error: java.io.IOException: no such column
\tat Mine.map(Mine.java:7)
2026-11-01 10:00:12,402 INFO mapreduce.Job: Job job_1700000000000_0003 failed with state FAILED due to: Task failed
"""


def read(log: str) -> tuple[Watch, list[Progress]]:
    watch = Watch()
    return watch, [news for line in log.splitlines() if (news := watch.read(line))]


def test_a_clients_log_becomes_progress() -> None:
    watch, news = read(LOG)
    assert watch.applications == [APPLICATION]
    assert [(each.text, each.done) for each in news] == [
        (f"{APPLICATION} · accepted", 0),
        (f"{APPLICATION} · map 0 %, reduce 0 %", 0),
        (f"{APPLICATION} · map 50 %, reduce 0 %", 25),
        (f"{APPLICATION} · map 100 %, reduce 33 %", 66),
        (f"{APPLICATION} · map 100 %, reduce 100 %", 100),
    ]
    assert watch.trouble == []


def test_counters_are_read_by_group() -> None:
    assert read(LOG)[0].counters == {
        "File System Counters": {"FILE: Number of bytes read": 94, "S3A: Number of bytes written": 215},
        "Job Counters": {"Launched map tasks": 4},
        "Shuffle Errors": {"BAD_ID": 0},
    }


def test_two_jobs_of_one_client_are_two_applications() -> None:
    second = LOG.replace("_0003", "_0004").replace("BAD_ID=0", "BAD_ID=1")
    watch, news = read(LOG + second)
    assert watch.applications == [APPLICATION, "application_1700000000000_0004"]
    assert watch.counters["Shuffle Errors"] == {"BAD_ID": 1}
    assert news[5] == Progress("job", "application_1700000000000_0004 · accepted", 0, 100)


def test_trouble_is_the_clients_own_lines_once_each() -> None:
    watch, _ = read(FAILED + FAILED)
    assert watch.trouble == [
        "Task Id : attempt_1700000000000_0003_m_000000_0, Status : FAILED",
        "Error: java.io.IOException: no such column",
        "Job job_1700000000000_0003 failed with state FAILED due to: Task failed",
    ]


@pytest.mark.parametrize(
    "line",
    [
        'Exception in thread "main" java.lang.ClassNotFoundException: Mine',
        "Unknown program 'nope' chosen.",
        "2026-11-01 10:00:00,101 ERROR streaming.StreamJob: Error Launching job : Output directory exists",
        "Caused by: java.net.ConnectException: Connection refused",
    ],
)
def test_lines_that_tell_what_went_wrong_are_kept(line: str) -> None:
    assert read(line)[0].trouble == [line]


@pytest.mark.parametrize("line", ["Task Errors: 0", "INFO mapreduce.Job: Job running in uber mode : false", ""])
def test_other_lines_are_not(line: str) -> None:
    assert read(line)[0].trouble == []


def test_lines_come_whole_however_the_bytes_are_cut() -> None:
    lines, text = Lines(), "a\nbé\r\n\nlast"
    whole = [line for byte in text.encode() for line in lines.feed(bytes([byte]))]
    assert whole + list(lines.rest()) == ["a", "bé", "", "last"]
    assert list(lines.rest()) == []


def aggregated(kind: str, contents: str, container: str = "container_1_0003_01_000002") -> str:
    return f"""\
Container: {container} on ip-10-64-0-32.ec2.internal_8041
LogAggregationType: AGGREGATED
====================================================================================
LogType:{kind}
LogLastModifiedTime:Sat Nov 21 21:50:22 +0000 2026
LogLength:{len(contents)}
LogContents:
{contents}
End of LogType:{kind}
******************************************************************************

"""


NOISE = """\
Nov 21, 2026 9:51:37 PM com.sun.jersey.guice.spi.container.GuiceComponentProviderFactory register
INFO: Registering org.apache.hadoop.yarn.webapp.GenericExceptionHandler as a provider class
log4j:WARN Please initialize the log4j system properly.
"""


def test_of_the_containers_logs_the_telling_lines_are_kept() -> None:
    master = "container_1_0003_01_000001"
    text = (
        aggregated("launch_container.sh", "export ERROR=1\n")
        + aggregated("stderr", NOISE + "Unrecognized option: -Xnonsense\n\nError: Could not create the JVM.\n")
        + aggregated("stdout", "")
        + aggregated("stderr", NOISE, master)
        + aggregated("syslog", "x INFO [main] fine\nx ERROR [main] it broke\nCaused by: y\n", master)
    )
    assert container_logs(text, 60).splitlines() == [
        "container_1_0003_01_000002 on ip-10-64-0-32.ec2.internal, stderr:",
        "  Unrecognized option: -Xnonsense",
        "  Error: Could not create the JVM.",
        "container_1_0003_01_000001 on ip-10-64-0-32.ec2.internal, syslog:",
        "  x ERROR [main] it broke",
        "  Caused by: y",
    ]
    assert container_logs(text, 2).splitlines() == ["  x ERROR [main] it broke", "  Caused by: y"]


def test_containers_without_telling_lines_give_the_end_of_the_text() -> None:
    assert container_logs("a\nb\nc\n", 2) == "b\nc"


@pytest.mark.parametrize(
    ("name", "user"), [("ann", "ann"), ("a.b-c_1", "a.b-c_1"), ("ann@x.org/y", "ann_x.org_y"), ("@", "hcluster")]
)
def test_a_principals_name_as_hadoop_takes_it(name: str, user: str) -> None:
    assert yarn.hadoop_user(name) == user


def test_the_clients_command_line() -> None:
    job = Job("examples", "pi", ("-D", "a=b c", "4"), "ann")
    assert yarn.command("/x.jar", job) == [
        *("env", "HADOOP_USER_NAME=ann", "/usr/local/bin/hadoop", "jar", "/x.jar", "pi", "-D", "a=b c", "4")
    ]
    assert yarn.command("/x.jar", Job("x"))[-1] == "/x.jar"


class Master:
    """A node whose ``hadoop`` and ``yarn`` are scripts; paths of the product are led to its folder."""

    def __init__(self, folder: Path, session: SshRemote) -> None:
        self.folder, self.session = folder, session
        self.calls: list[str] = []

    def script(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $@" >> {self.folder}/calls\n{body}\n')
        path.chmod(0o755)

    def ran(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Master]:
    with SshServer(tmp_path) as server, connector(server).connect(NODE, "c") as session:
        node = Master(tmp_path, session)
        monkeypatch.setattr(yarn, "HADOOP", str(tmp_path / "hadoop"))
        monkeypatch.setattr(yarn, "YARN", str(tmp_path / "yarn"))
        monkeypatch.setattr(yarn, "JOBS_FOLDER", str(tmp_path / "jobs"))
        (tmp_path / "log").write_text(LOG)
        (tmp_path / "failed").write_text(FAILED)
        yield node


CLOCK: Any = SimpleNamespace(now=time.time, sleep=time.sleep)


def run(master: Master, job: Job, **options: Any) -> yarn.JobResult:
    return yarn.run(master.session, job, clock=CLOCK, **options)


def test_a_local_jar_is_copied_run_and_removed(master: Master, tmp_path: Path) -> None:
    jar = tmp_path / "my job.jar"
    jar.write_bytes(b"jar")
    master.script("hadoop", f'test "$(cat "$2")" = jar && cat {tmp_path}/log >&2 && echo out: $HADOOP_USER_NAME')
    out: list[bytes] = []
    seen: list[Progress] = []
    result = run(master, Job(str(jar), "Mine", ("a b",), "ann"), report=seen.append, on_stdout=out.append)
    assert (result.applications, result.exit_code, result.stdout) == ((APPLICATION,), 0, "out: ann\n")
    assert b"".join(out) == b"out: ann\n"
    assert result.counters["Job Counters"] == {"Launched map tasks": 4}
    assert seen[-1].state == "ok"
    assert "my job.jar Mine a b" in master.ran()[0]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_jars_of_s3_and_of_the_node_are_used_from_there(master: Master, tmp_path: Path) -> None:
    master.script("hadoop", "exit 0")
    run(master, Job("s3a://lake/jobs/x.jar", "Mine"))
    run(master, Job("node:/opt/y.jar"))
    run(master, Job("examples", "pi", ("4",)))
    copied, ran, node, example = master.ran()
    assert copied.startswith("hadoop fs -copyToLocal s3a://lake/jobs/x.jar ")
    assert copied.split()[-1] == ran.split()[2]
    assert node == "hadoop jar /opt/y.jar"
    assert example == "hadoop jar /opt/hadoop/examples/hadoop-mapreduce-examples.jar pi 4"


def test_a_failed_job_hands_on_its_code_with_its_reason_and_logs(master: Master, tmp_path: Path) -> None:
    master.script("hadoop", f"cat {tmp_path}/failed >&2; exit 42")
    # The first answer is that of a NodeManager that has not uploaded yet.
    master.script("yarn", f"test -e {tmp_path}/asked || {{ touch {tmp_path}/asked; exit 255; }}; seq 1 100")
    with pytest.raises(JobFailedError) as caught:
        run(master, Job("examples", "pi"))
    assert caught.value.exit_code == 42
    assert caught.value.message == f"the job {APPLICATION} failed with exit code 42"
    assert "Error: java.io.IOException: no such column" in caught.value.context
    assert "\n40\n" not in caught.value.context
    assert "\n41\n" in caught.value.context
    assert caught.value.context.endswith("\n100")
    assert master.ran()[1:] == [f"yarn logs -applicationId {APPLICATION}"] * 2


def test_a_killed_job_is_called_killed_and_its_containers_are_not_asked_why(master: Master) -> None:
    line = "Job job_1700000000000_0003 failed with state KILLED due to: Application was killed by user hdfs"
    master.script("hadoop", f"echo 'INFO impl.YarnClientImpl: Submitted application {APPLICATION}\n{line}' >&2; exit 1")
    with pytest.raises(JobFailedError, match=f"the job {APPLICATION} was killed") as caught:
        run(master, Job("examples", "pi"))
    assert (caught.value.exit_code, caught.value.context) == (1, line)
    assert len(master.ran()) == 1


def test_logs_that_nobody_collects_are_not_waited_for_long(master: Master, tmp_path: Path) -> None:
    master.script("hadoop", f"cat {tmp_path}/failed >&2; exit 1")
    master.script("yarn", "echo Can not find the logs >&2; exit 255")
    at = [0.0]

    def sleep(seconds: float) -> None:
        at[0] += seconds

    with pytest.raises(JobFailedError, match="failed with exit code 1") as caught:
        yarn.run(master.session, Job("examples"), clock=SimpleNamespace(now=lambda: at[0], sleep=sleep))
    assert caught.value.context.endswith("(none were collected within 30 s: Can not find the logs)")


def test_a_client_that_submits_nothing_is_told_by_its_own_lines(master: Master) -> None:
    master.script("hadoop", "echo \"Unknown program 'nope' chosen.\" >&2; exit 255")
    with pytest.raises(JobFailedError, match="the job examples nope failed with exit code 255") as caught:
        run(master, Job("examples", "nope"))
    assert caught.value.context == "Unknown program 'nope' chosen."
    assert len(master.ran()) == 1


@pytest.mark.parametrize("code", [0, 7])
def test_a_job_whose_reader_is_gone_is_waited_for_and_keeps_its_own_code(master: Master, code: int) -> None:
    # The second line comes only when the first has been refused, so that they are never one piece.
    refused = master.folder / "refused"
    master.script(
        "hadoop",
        f"echo one; until test -e {refused}; do sleep 0.05; done; "
        f"echo two; sleep 0.3; echo $0 > {master.folder}/ended; exit {code}",
    )
    seen: list[bytes] = []

    def gone(piece: bytes) -> None:
        seen.append(piece)
        refused.touch()
        raise BrokenPipeError

    if code:
        with pytest.raises(JobFailedError) as failed:
            run(master, Job("examples"), on_stdout=gone)
        assert failed.value.exit_code == code
    else:
        assert run(master, Job("examples"), on_stdout=gone).stdout == "one\ntwo\n"
    assert (master.folder / "ended").exists()
    assert seen == [b"one\n"]


def test_a_missing_jar_is_told_before_anything_runs(master: Master, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no jar"):
        run(master, Job(str(tmp_path / "none.jar")))
    with pytest.raises(UsageError, match="no absolute path"):
        run(master, Job("node:x.jar"))
    master.script("hadoop", "echo No such file >&2; exit 1")
    with pytest.raises(JobFailedError, match=r"cannot read s3a://b/none\.jar") as caught:
        run(master, Job("s3a://b/none.jar"))
    assert caught.value.context == "No such file"
    assert not list((tmp_path / "jobs").iterdir())


def hanging(master: Master, tmp_path: Path) -> None:
    master.script("hadoop", f"head -n 4 {tmp_path}/log >&2; sleep 30")
    master.script("yarn", "exit 0")


def pass_deadline(monkeypatch: pytest.MonkeyPatch, progress: list[Progress]) -> Callable[[Progress], None]:
    """A report by which 30 s are over when the application is accepted."""
    skipped = SkippedTime()
    monkeypatch.setattr("hcluster.remote.session.time", skipped)

    def report(told: Progress) -> None:
        progress.append(told)
        if "accepted" in told.text:
            skipped.skip(30)

    return report


def test_a_job_past_its_deadline_is_killed(master: Master, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging(master, tmp_path)
    with pytest.raises(DeadlineError):
        run(master, Job("examples", "pi"), report=pass_deadline(monkeypatch, []), timeout=25)
    assert master.ran()[-1] == f"yarn application -kill {APPLICATION}"


def test_ctrl_c_kills_the_application_and_says_so(master: Master, tmp_path: Path) -> None:
    hanging(master, tmp_path)
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if "accepted" in progress.text:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run(master, Job("examples", "pi"), report=report)
    assert master.ran()[-1] == f"yarn application -kill {APPLICATION}"
    assert seen[-1] == Progress("job", f"{APPLICATION} killed", state="failed")


def test_an_application_that_cannot_be_killed_is_told(
    master: Master, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging(master, tmp_path)
    master.script("yarn", "echo it is gone >&2; exit 1")
    seen: list[Progress] = []
    with pytest.raises(DeadlineError):
        run(master, Job("examples"), report=pass_deadline(monkeypatch, seen), timeout=25)
    assert seen[-1].text == f"{APPLICATION} could not be killed: it is gone"
