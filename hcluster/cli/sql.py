"""``hcluster sql``: statements on a cluster's Hive, their rows on standard output, progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from hcluster.cli.clusters import NAME
from hcluster.cli.failures import InterruptedFlowError
from hcluster.cli.flow import state_of
from hcluster.cli.pipes import drop_output, quiet_pipe, reader_gone
from hcluster.cli.progress import reporter
from hcluster.cli.rows import Format, write
from hcluster.errors import HclusterError, QueryError, UsageError

if TYPE_CHECKING:
    from hcluster.executors.hive import HiveSession
    from hcluster.flows.context import Context

FORMATS: tuple[Format, ...] = get_args(Format)


def sql(
    ctx: typer.Context,
    name: str = NAME,
    statements: str = typer.Argument(
        "",
        metavar="SQL",
        show_default=False,
        help="Statements, separated by semicolons; - reads them from standard input.",
    ),
    file: Path = typer.Option(None, "--file", "-f", metavar="FILE", help="Read the statements from a file."),
    form: str = typer.Option("", "--format", metavar="|".join(FORMATS), help="How rows are written; table by default."),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="A Hive property of this session."),
    timeout: float = typer.Option(3600, min=1, metavar="SECONDS", help="How long one statement may take."),
) -> None:
    """Run SQL on a cluster's Hive.

    Rows go to standard output, progress to standard error. Ctrl-C cancels the running statement on the server. The
    first statement that fails ends the call. With several statements each that has rows writes its own table or JSON
    array.

    \b
    Examples:
      hcluster sql flights "select carrier, count(*) from flights group by carrier"
      hcluster sql flights -f report.sql --format csv > report.csv
      hcluster sql flights "select * from hcluster.clusters" --output json
      hcluster sql flights "select count(*) from t" --set hive.execution.engine=tez
    """
    from hcluster.executors import statements as parsing

    state = state_of(ctx)
    chosen = _format(form or state.output)
    wanted = parsing.split(_source(statements, file))
    if not wanted:
        raise UsageError("there is no statement to run", hint=f'hcluster sql {name} "show tables"')
    properties = _settings(settings)
    from hcluster.cli import wire

    with quiet_pipe(), _session(wire.context(state), name, properties) as session:
        try:
            _run(session, wanted, chosen, timeout)
        except QueryError as cause:
            if cause.reference != "query-cancelled":
                raise
            raise InterruptedFlowError(cause.message, context=cause.context) from cause


def _run(session: HiveSession, statements: Sequence[str], form: Format, timeout: float) -> None:
    """One after the other; the rows of each are written before the next starts.

    When nobody reads them any more the statement under way is cancelled, should it only read, and of those behind it
    the ones that change something are still run.
    """
    from hcluster.executors.interrupts import Interrupts
    from hcluster.executors.statements import only_reads

    unread = False
    with Interrupts() as interrupted:
        for place, statement in enumerate(statements, 1):
            reads = only_reads(statement)
            if unread and reads:
                continue
            cancelled = _Unwanted(interrupted, for_its_rows=reads)
            try:
                _one(session, statement, form, cancelled, timeout)
            except BrokenPipeError:
                unread = True
                drop_output()
            except HclusterError as cause:
                if cancelled.unread and cause.reference == "query-cancelled":
                    unread = True
                    drop_output()
                    continue
                if len(statements) > 1:
                    cause.context = f"statement {place} of {len(statements)}: {cause.context}"
                raise


class _Unwanted:
    """Whether a statement is to be cancelled: after Ctrl-C, and when only its rows matter and nobody reads them."""

    def __init__(self, interrupted: Callable[[], bool], *, for_its_rows: bool) -> None:
        self._interrupted = interrupted
        self._for_its_rows = for_its_rows
        self.unread = False

    def __call__(self) -> bool:
        if self._interrupted():
            return True
        self.unread = self._for_its_rows and reader_gone()
        return self.unread


def _one(session: HiveSession, statement: str, form: Format, cancelled: Callable[[], bool], timeout: float) -> None:
    # The display ends before rows are written: on a terminal it would draw over them.
    with reporter() as report:
        result = session.execute(statement, report=report, cancelled=cancelled, timeout=timeout)
    try:
        if result.columns:
            names = [column.name for column in result.columns]
            write(sys.stdout, form, names, [column.type for column in result.columns], result.rows)
            sys.stdout.flush()
    finally:
        result.close()


@contextmanager
def _session(context: Context, name: str, settings: dict[str, str]) -> Iterator[HiveSession]:
    """A Hive session on the master of a cluster, in the caller's name."""
    from hcluster.executors import hive
    from hcluster.flows import reach

    master = reach.master(context, name)
    remote = context.connector.connect(master, name)
    try:
        with hive.connect(
            remote, host=master.private_ip, user=context.principal.user, clock=context.clock, settings=settings
        ) as session:
            yield session
    finally:
        remote.close()


def _format(text: str) -> Format:
    for form in FORMATS:
        if text == form:
            return form
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(FORMATS)}", param_hint="--format")


def _source(statements: str, file: Path | None) -> str:
    """The text with the statements."""
    if bool(statements) == (file is not None):
        raise UsageError(
            "give either statements or -f FILE", hint='hcluster sql NAME "select 1", or hcluster sql NAME -f query.sql'
        )
    if statements == "-":
        return sys.stdin.read()
    if file is None:
        return statements
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(f"cannot read {file}: {getattr(cause, 'strerror', None) or 'it is not UTF-8 text'}") from cause


def _settings(pairs: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` each."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key.strip() or not equals:
            raise UsageError(f"--set {pair!r} is not KEY=VALUE", hint="--set hive.exec.parallel=true")
        found[key.strip()] = value
    return found
