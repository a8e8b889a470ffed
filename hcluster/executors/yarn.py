"""Run a jar's jobs on a cluster: the client runs on the master, its log lines become progress."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hcluster.errors import DeadlineError, HclusterError, JobFailedError, NotFoundError, UsageError
from hcluster.executors.client_log import STEP, Lines, Watch, container_logs
from hcluster.model.events import Progress, Report, silent
from hcluster.ports import Clock, Remote

HADOOP = "/usr/local/bin/hadoop"
YARN = "/usr/local/bin/yarn"
EXAMPLES = "/opt/hadoop/examples/hadoop-mapreduce-examples.jar"
JOBS_FOLDER = "/tmp/hcluster-jobs"  # noqa: S108 - on the node; each job has a folder of its own below, named by chance
_NODE_PREFIX = "node:"
_KILLED = "was killed by user"
"""YARN's words for what a person did; the state KILLED alone is also MapReduce's for a job that no node can hold."""
_LOG_LINES = 60
_LOG_SECONDS = 30.0
_LOG_POLL_SECONDS = 2.0
_SHORT = 60.0
_COPY_SECONDS = 600.0
_USER_LETTERS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Job:
    """What to run."""

    jar: str
    """A local file, ``s3a://…``, ``node:/path`` on the master, or ``examples`` for Hadoop's own examples."""
    main_class: str = ""
    """The class, or the program of a jar that has a driver; "" for the jar's own main class."""
    arguments: tuple[str, ...] = ()
    user: str = "hcluster"
    """In whose name it runs in YARN."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """How it ended; a failed job is an error instead."""

    applications: tuple[str, ...]
    """YARN application ids in order of their start."""
    exit_code: int
    seconds: float
    counters: Mapping[str, Mapping[str, int]]
    """Of the last job: group, counter, value; empty when the client printed none."""
    stdout: str
    """The last MiB of the client's standard output."""


def hadoop_user(name: str) -> str:
    """A principal's name as Hadoop takes it: ``@`` and ``/`` would make a Kerberos principal of it."""
    return _USER_LETTERS.sub("_", name).strip("_") or "hcluster"


def run(
    remote: Remote,
    job: Job,
    *,
    clock: Clock,
    report: Report = silent,
    on_stdout: Callable[[bytes], None] | None = None,
    timeout: float = 7 * 86400,
) -> JobResult:
    """Run a job to its end; on Ctrl-C and at the deadline its applications are killed. Its files are removed.

    ``on_stdout`` may raise BrokenPipeError: then it gets no more, and the job is still waited for.

    Raises:
        JobFailedError: the client ended with another code than 0, which is the error's; with the tail of the logs.
        DeadlineError: ``timeout`` seconds passed.
        NotFoundError: there is no such jar.
        UnreachableError: the connection ended; what was submitted goes on.
    """
    began = clock.now()
    folder = f"{JOBS_FOLDER}/{secrets.token_hex(8)}"
    watch, lines = Watch(), Lines()

    def on_stderr(piece: bytes) -> None:
        for line in lines.feed(piece):
            if news := watch.read(line):
                report(news)

    try:
        jar = _place(remote, job.jar, folder, report)
        report(Progress(STEP, "starting the client"))
        code, out, err = remote.run(
            command(jar, job), timeout=timeout, on_output=_while_read(on_stdout or _drop), on_stderr=on_stderr
        )
    except (KeyboardInterrupt, DeadlineError):
        _kill(remote, watch.applications, report)
        raise
    finally:
        with suppress(HclusterError):
            remote.run(["rm", "-rf", "--", folder], timeout=_SHORT)
    for line in lines.rest():
        watch.read(line)
    seconds = clock.now() - began
    named = ", ".join(watch.applications)
    if code != 0:
        report(Progress(STEP, f"failed{': ' * bool(named)}{named}", state="failed"))
        raise _failure(remote, job, watch, code, err, clock)
    report(Progress(STEP, f"{seconds:.1f} s{' · ' * bool(named)}{named}", 100, 100, "ok"))
    return JobResult(tuple(watch.applications), code, seconds, watch.counters, out.decode(errors="replace"))


def command(jar: str, job: Job) -> list[str]:
    """The client's command line for a jar that lies on the master."""
    chosen = [job.main_class] if job.main_class else []
    return ["env", f"HADOOP_USER_NAME={hadoop_user(job.user)}", HADOOP, "jar", jar, *chosen, *job.arguments]


def _place(remote: Remote, jar: str, folder: str, report: Report) -> str:
    """Where the jar lies on the master, copied there when it was elsewhere."""
    if jar == "examples":
        return EXAMPLES
    if jar.startswith(_NODE_PREFIX):
        return _on_node(jar.removeprefix(_NODE_PREFIX))
    target = f"{folder}/{PurePosixPath(jar).name}"
    if "://" not in jar and not Path(jar).is_file():
        raise NotFoundError(
            f"there is no jar {jar} here", hint="a jar of the master is named node:/path, one in S3 s3a://BUCKET/KEY"
        )
    _checked(remote, ["mkdir", "-p", "-m", "700", folder], _SHORT, f"cannot make {folder}")
    report(Progress(STEP, f"copying {jar}"))
    if "://" in jar:
        _checked(remote, [HADOOP, "fs", "-copyToLocal", jar, target], _COPY_SECONDS, f"cannot read {jar}")
    else:
        remote.put([jar], target)
    return target


def _on_node(path: str) -> str:
    if not path.startswith("/"):
        raise UsageError(f"{_NODE_PREFIX}{path} is no absolute path", hint="write it like node:/opt/jobs/my.jar")
    return path


def _checked(remote: Remote, words: Sequence[str], timeout: float, refusal: str) -> None:
    code, _, err = remote.run(words, timeout=timeout)
    if code != 0:
        raise JobFailedError(f"the master {refusal}", exit_code=code, context=_tail(err.decode(errors="replace")))


def _kill(remote: Remote, applications: Sequence[str], report: Report) -> None:
    """Kill what was submitted; the client alone was only the watcher."""
    for application in applications:
        try:
            code, _, err = remote.run([YARN, "application", "-kill", application], timeout=_SHORT)
        except HclusterError as cause:
            code, err = 1, cause.message.encode()
        # Killing one that has ended is no failure to YARN, either.
        told = f"{application} killed" if code == 0 else f"{application} could not be killed: {_last(err)}"
        report(Progress(STEP, told, state="failed"))
    if not applications:
        report(Progress(STEP, "stopped before an application was submitted", state="failed"))


def _failure(remote: Remote, job: Job, watch: Watch, code: int, err: bytes, clock: Clock) -> JobFailedError:
    what = watch.applications[-1] if watch.applications else f"{job.jar} {job.main_class}".strip()
    text = err.decode(errors="replace")
    parts = ["\n".join(watch.trouble) or _tail(text, 15)]
    hint = "nothing was submitted to YARN: look at the client's own lines above"
    if any(_KILLED in line for line in watch.trouble):
        # What its containers wrote when they were ended tells nothing.
        told = f"the job {what} was killed"
        return JobFailedError(told, exit_code=code, context=parts[0], hint="by whom: hcluster events NAME")
    if watch.applications:
        collected = _yarn_logs(remote, what, job.user, clock)
        parts.append(f"-- its containers' logs:\n{collected}")
        hint = f"all of its logs: hcluster job logs NAME {what}"
    return JobFailedError(
        f"the job {what} failed with exit code {code}", exit_code=code, context="\n".join(parts), hint=hint
    )


def _yarn_logs(remote: Remote, application: str, user: str, clock: Clock) -> str:
    """What an application's aggregated logs tell; NodeManagers upload them after its end. Or why there is none."""
    words = ["env", f"HADOOP_USER_NAME={hadoop_user(user)}", YARN, "logs", "-applicationId", application]
    ends = clock.now() + _LOG_SECONDS
    while True:
        try:
            code, out, err = remote.run(words, timeout=_SHORT, on_output=_drop, on_stderr=_drop)
        except HclusterError as cause:
            return cause.message
        if code == 0 and out.strip():
            return container_logs(out.decode(errors="replace"), _LOG_LINES)
        if clock.now() + _LOG_POLL_SECONDS >= ends:
            return f"(none were collected within {_LOG_SECONDS:.0f} s: {_last(err or out)})"
        clock.sleep(_LOG_POLL_SECONDS)


def _tail(text: str, lines: int = 5) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def _last(output: bytes) -> str:
    return _tail(output.decode(errors="replace"), 1) or "without a reason"


def _while_read(on_stdout: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Hand pieces on until their reader is gone: a job must not end, or go on unwatched, because of that."""
    reader = on_stdout

    def hand_on(piece: bytes) -> None:
        nonlocal reader
        try:
            reader(piece)
        except BrokenPipeError:
            reader = _drop

    return hand_on


def _drop(_piece: bytes) -> None:
    """The result keeps its tail."""
