"""``hcluster job``: run a jar's job with its own exit code; list, kill and read the logs of what runs on YARN."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from hcluster.cli import wire
from hcluster.cli.clusters import NAME
from hcluster.cli.config import CliState
from hcluster.cli.failures import interruptible
from hcluster.cli.flow import confirm, flow, moment, state_of
from hcluster.cli.output import render
from hcluster.cli.output.pipes import quiet_pipe, write_while_read
from hcluster.cli.output.progress import reporter
from hcluster.errors import NotFoundError, UsageError
from hcluster.model.events import Report

if TYPE_CHECKING:
    from hcluster.executors.application import Application
    from hcluster.executors.applications import ResourceManager
    from hcluster.executors.container_logs import LogFile, Logs
    from hcluster.executors.yarn import JobResult
    from hcluster.flows.context import Context

app = typer.Typer(no_args_is_help=True, help="Run YARN jobs, list and kill them, read their logs.")
APPLICATION = "An application's id, the number at its end, or the beginning of it."


@app.callback()
def job() -> None:
    """Run YARN jobs, list and kill them, read their logs."""


@app.command("run")
def run(
    ctx: typer.Context,
    name: str = NAME,
    arguments: list[str] = typer.Argument(None, metavar="-- ARGS", help="The job's arguments; quoting is kept."),
    jar: str = typer.Option(
        ..., "--jar", metavar="JAR", help="A local file, s3a://…, node:/path on the master, or examples: Hadoop's own."
    ),
    main_class: str = typer.Option(
        "", "--class", metavar="CLASS", help="Main class, or the program's name of a jar with a driver."
    ),
    timeout: float = typer.Option(7 * 86400, min=1, metavar="SECONDS", help="How long it may take; then it is killed."),
) -> None:
    """Run a jar's job on a cluster and wait for its end.

    The job's standard output goes to standard output, progress to standard error. The exit code is the job's, also when
    nobody reads its output any more. When it fails the last lines of its logs are shown; Ctrl-C kills it.

    \b
    Examples:
      hcluster job run flights --jar examples --class pi -- 4 1000
      hcluster job run flights --jar target/my-job.jar --class com.example.Count -- s3a://lake/in s3a://lake/out
      hcluster job run flights --jar s3a://lake/jobs/my-job.jar --class com.example.Count --output json
    """
    from hcluster.executors import yarn
    from hcluster.flows import reach

    state = state_of(ctx)
    with _output(state) as on_stdout, flow(ctx) as context:
        wanted = yarn.Job(jar, main_class, tuple(arguments or ()), context.principal.user)
        remote = context.connector.connect(reach.master(context, name), name)
        try:
            with interruptible(
                "the job was interrupted and its applications were killed", f"hcluster job run {name} …"
            ):
                result = yarn.run(
                    remote,
                    wanted,
                    clock=context.clock,
                    report=context.report,
                    on_stdout=on_stdout,
                    timeout=timeout,
                )
        finally:
            remote.close()
    if state.output == "json":
        with quiet_pipe():
            render.emit(state, _value(result), "")


@contextmanager
def _output(state: CliState) -> Iterator[Callable[[bytes], None] | None]:
    """Where the job's standard output goes: on at once, but on a terminal after the progress, which draws there too."""
    if state.output == "json":
        yield None
        return
    if not sys.stdout.isatty():
        yield write_while_read
        return
    kept: list[bytes] = []
    try:
        yield kept.append
    finally:
        write_while_read(b"".join(kept))


def _value(result: JobResult) -> dict[str, object]:
    return {
        "applications": list(result.applications),
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 3),
        "counters": result.counters,
        "stdout": result.stdout,
    }


@app.command("list")
def list_jobs(
    ctx: typer.Context,
    name: str = NAME,
    states: list[str] = typer.Option(
        [],
        "--state",
        metavar="STATE",
        help="Only those: submitted, accepted, running, succeeded, failed, killed, ended.",
    ),
    user: str = typer.Option("", "--user", metavar="USER", help="Only this user's."),
    every: bool = typer.Option(False, "--all", "-a", help="Also those that have ended."),
) -> None:
    """List the applications of a cluster's YARN, the newest first.

    Hive's sessions are among them, as applications of the user hive and type TEZ.

    \b
    Examples:
      hcluster job list flights
      hcluster job list flights --all --user jane
      hcluster job list flights --state failed --state killed --output json
    """
    from hcluster.executors.application import LIVE, demand_states

    wanted = demand_states(states) or (() if every else LIVE)
    with flow(ctx, f"asking YARN of cluster {name}") as context, _yarn(context, name) as (manager, _):
        found = manager.applications(wanted, user)
        now = moment(context)
    with quiet_pipe():
        render.emit(state_of(ctx), found, _table(found, now, everything=not wanted))


@app.command("kill")
def kill(
    ctx: typer.Context,
    name: str = NAME,
    applications: list[str] = typer.Argument(..., metavar="APP...", help=APPLICATION, show_default=False),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask; takes whole ids alone."),
) -> None:
    """Kill applications, and wait until they have ended.

    One that has ended before is told, and is no failure. Hive opens a new session when its own was killed; the query
    that ran in it fails.

    \b
    Examples:
      hcluster job kill flights application_1795318021901_0007
      hcluster job kill flights 7 8
      hcluster job kill flights application_1795318021901_0007 --yes
    """
    from hcluster.cli.output.questions import kill_applications
    from hcluster.executors.application import full_id, meant
    from hcluster.flows.timeline import note

    command = f"hcluster job kill {name} {' '.join(applications)}"
    cut = [given for given in applications if not full_id(given)]
    if yes and cut:
        raise UsageError(f"with --yes the whole id is needed, not {cut[0]}", hint=f"`hcluster job list {name}`")
    # Whoever cannot be asked is told so before anything is contacted.
    confirm(lambda: "", yes=yes, command=command)
    with flow(ctx, f"asking YARN of cluster {name}") as context, _yarn(context, name) as (manager, _):
        known = manager.applications()
        chosen = list({one.id: one for one in (meant(given, known) for given in applications)}.values())
        now = moment(context)
    live = [one for one in chosen if one.live]
    confirm(lambda: kill_applications(live, now), yes=yes, command=command)
    with flow(ctx) as context, _yarn(context, name) as (manager, _):
        ended = {one.id: manager.kill(one.id, context.report) for one in live}
        for one in live:
            note(context, name, "job-killed", f"{one.id} ({one.name} of {one.user}) was killed")
    value = [{"id": one.id, "was": one.state, "state": ended.get(one.id, one).state} for one in chosen]
    told = [
        f"{one.id}: {ended[one.id].state}" if one.live else f"{one.id} had ended before: {one.state}" for one in chosen
    ]
    render.emit(state_of(ctx), value, "\n".join(told))


@app.command("logs")
def logs(
    ctx: typer.Context,
    name: str = NAME,
    application: str = typer.Argument(..., metavar="APP", help=APPLICATION, show_default=False),
    container: str = typer.Option(
        "", "--container", "-c", metavar="ID", help="Only this one; the end of its id will do."
    ),
    file: list[str] = typer.Option(
        [], "--file", "-f", metavar="FILE", help="Only files of this name, as stderr or syslog; empty ones, too."
    ),
    tail: int = typer.Option(0, "--tail", "-n", min=0, metavar="LINES", help="Only the last lines of each file."),
    follow: bool = typer.Option(False, "--follow", help="Go on with what is written until it ends, or Ctrl-C."),
) -> None:
    """Print what an application's containers wrote.

    Of one that runs the containers of now are asked; of one that has ended what YARN collected is read, which it keeps
    for a week. What YARN itself puts beside a container's own files is left out unless --file names it. With --follow,
    what is new is written as it comes, until the application has ended; how it ended is told on standard error.

    \b
    Examples:
      hcluster job logs flights application_1795318021901_0007 --tail 50
      hcluster job logs flights 7 --file stderr
      hcluster job logs flights 7 --follow --tail 20
      hcluster job logs flights 7 --container 000002 --file syslog | less
    """
    from hcluster.cli.job.follow import follow as followed
    from hcluster.executors.container_logs import own, telling

    state = state_of(ctx)
    if follow and state.output == "json":
        raise UsageError("--follow writes lines as they come, no JSON", hint="leave out one of the two")
    context = wire.context(state)
    with quiet_pipe(), ExitStack() as stack:
        # The display of progress is over when the first lines are written: it would draw over them.
        with reporter(asking=f"asking YARN of cluster {name}"):
            manager, reader = stack.enter_context(_yarn(context, name))
        if follow:

            def wanted(one: LogFile) -> bool:
                return (one.file in file if file else own(one)) and one.container.endswith(container)

            followed(manager, reader, context.clock, application, chosen=wanted, tail=tail)
            return
        with reporter(asking=f"looking for logs of {application}") as report:
            files = _files(manager, reader, application, report)
        named = [one for one in (files if file else telling(files)) if not file or one.file in file]
        chosen = [one for one in named if one.container.endswith(container)]
        if not chosen:
            raise _nothing(files, application, container)
        if state.output == "json":
            render.emit(state, [_log_value(reader, one, tail) for one in chosen], "")
            return
        for one in chosen:
            if len(chosen) > 1:
                sys.stdout.write(f"==> {one.container} on {one.node}, {one.file} <==\n")
                sys.stdout.flush()
            _write(reader.read(one, tail))


def _write(pieces: Iterator[bytes]) -> None:
    """Text, as it is to a pipe and without control characters to a terminal, with a line end behind it."""
    out, screen = sys.stdout.buffer, sys.stdout.isatty()
    last = b"\n"
    for piece in pieces:
        out.write(render.clean(piece.decode(errors="replace")).encode() if screen else piece)
        last = piece[-1:] or last
    out.write(b"" if last == b"\n" else b"\n")
    out.flush()


def _log_value(reader: Logs, log: LogFile, tail: int) -> dict[str, object]:
    text = b"".join(reader.read(log, tail)).decode(errors="replace")
    return {"container": log.container, "node": log.node, "file": log.file, "bytes": log.bytes, "text": text}


def _files(manager: ResourceManager, reader: Logs, given: str, report: Report) -> list[LogFile]:
    """The files of an application; of one that the ResourceManager has forgotten, too, when the whole id is given."""
    from hcluster.executors.application import full_id

    try:
        found = manager.meant(given)
    except NotFoundError:
        whole = full_id(given)
        files = reader.collected(whole) if whole else []
        if not files:
            raise
        return files
    return reader.files(found, report)


def _nothing(files: list[LogFile], application: str, container: str) -> NotFoundError:
    """No file fits: say what there is."""
    there = sorted({one.container if container else one.file for one in files})
    what = f"no container {container}" if container else "no such log"
    if container and any(one.container.endswith(container) for one in files):
        what, there = f"no such log of container {container}", sorted({one.file for one in files})
    return NotFoundError(
        f"{application} has {what} with anything in it",
        hint=f"there is: {', '.join(there[:20])}" if there else "it has written nothing yet",
        reference="no-logs",
    )


@contextmanager
def _yarn(context: Context, name: str) -> Iterator[tuple[ResourceManager, Logs]]:
    """YARN of a cluster, through its master."""
    from hcluster.executors.applications import ResourceManager
    from hcluster.executors.container_logs import Logs
    from hcluster.flows import reach

    master = reach.master(context, name)
    remote = context.connector.connect(master, name)
    try:
        manager = ResourceManager(remote, master.private_ip, context.clock)
        yield manager, Logs(remote, master.private_ip, manager, context.clock)
    finally:
        remote.close()


def _table(found: list[Application], now: datetime, *, everything: bool) -> str:
    rows = [
        (
            one.id,
            one.name,
            one.user,
            one.type,
            one.state,
            f"{one.progress:.0f}%",
            render.age(one.started, now),
            render.age(one.started, one.ended or now),
            str(one.memory_mib),
            str(one.vcores),
        )
        for one in found
    ]
    columns = ("id", "name", "user", "type", "state", "done", "started", "elapsed", "mib", "vcores")
    return render.table(
        columns, rows, empty="no applications" if everything else "no such applications; --all shows ended ones, too"
    )
