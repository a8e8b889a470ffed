"""``hcluster job``: YARN jobs of a jar, with progress, the job's own exit code, and its logs when it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from hcluster.cli import render
from hcluster.cli.clusters import NAME
from hcluster.cli.config import CliState
from hcluster.cli.failures import interruptible
from hcluster.cli.flow import flow, state_of
from hcluster.cli.pipes import quiet_pipe, write_while_read

if TYPE_CHECKING:
    from hcluster.executors.yarn import JobResult

app = typer.Typer(no_args_is_help=True, help="Run YARN jobs.")


@app.callback()
def job() -> None:
    """Run YARN jobs."""


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
