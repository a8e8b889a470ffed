"""``hcluster sql``: statements on a cluster's Hive, from arguments, a file or a prompt; rows on standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

import typer

from hcluster.cli.clusters import NAME
from hcluster.cli.failures import InterruptedFlowError
from hcluster.cli.flow import state_of
from hcluster.cli.output.pipes import drop_output, quiet_pipe, reader_gone
from hcluster.cli.output.progress import reporter
from hcluster.cli.output.rows import Format, write
from hcluster.errors import HclusterError, QueryError, UnreachableError, UsageError
from hcluster.model.events import Progress

if TYPE_CHECKING:
    from hcluster.cli.config import CliState
    from hcluster.cli.sql.complete import Candidate
    from hcluster.executors.hive import HiveSession
    from hcluster.flows.context import Context
    from hcluster.ports import Remote

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
    file: Path | None = typer.Option(None, "--file", "-f", metavar="FILE", help="Read the statements from a file."),
    form: str = typer.Option("", "--format", metavar="|".join(FORMATS), help="How rows are written; table by default."),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="A Hive property of this session."),
    timeout: float = typer.Option(3600, min=1, metavar="SECONDS", help="How long one statement may take."),
) -> None:
    """Run SQL on a cluster's Hive.

    Without statements, on a terminal, it is a prompt with history and completion; \\? tells what it can do.

    Rows go to standard output, progress to standard error. Ctrl-C cancels the running statement on the server. The
    first statement that fails ends the call. With several statements each that has rows writes its own table or JSON
    array. When nobody reads the rows any more (| head) the statement ends, with code 0.

    \b
    Examples:
      hcluster sql flights
      hcluster sql flights "select carrier, count(*) from flights group by carrier"
      hcluster sql flights -f report.sql --format csv > report.csv
      hcluster sql flights "select * from hcluster.clusters" --output json
      hcluster sql flights "select count(*) from t" --set hive.execution.engine=tez
    """
    from hcluster.executors import statements as parsing

    state = state_of(ctx)
    chosen = _format(form or state.output)
    if not statements and file is None and sys.stdin.isatty() and sys.stdout.isatty():
        _prompt(state, name, chosen, _settings(settings), timeout)
        return
    wanted = parsing.split(_source(statements, file))
    if not wanted:
        raise UsageError("there is no statement to run", hint=f'hcluster sql {name} "show tables"')
    properties = _settings(settings)
    from hcluster.cli import wire

    with quiet_pipe(), contextlib.ExitStack() as stack:
        # The display ends before rows are written: on a terminal it would draw over them.
        with reporter(asking=f"connecting to HiveServer2 of cluster {name}"):
            link = stack.enter_context(_Link(wire.context(state), name, properties))
        try:
            _run(link.session, wanted, chosen, timeout)
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


class _Link:
    """A session on the master of a cluster, in the caller's name; a context manager that opens it."""

    def __init__(self, context: Context, name: str, settings: dict[str, str]) -> None:
        self._context = context
        self._name = name
        self._settings = settings
        self._remote: Remote | None = None
        self._host = ""
        self._session: HiveSession | None = None

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._session.close()
        self.close()

    @property
    def session(self) -> HiveSession:
        """The one that is open."""
        if self._session is None:
            raise UnreachableError(f"there is no session on cluster {self._name}")
        return self._session

    def open(self) -> None:
        """Connect; again over a new connection when it was open."""
        from hcluster.flows import reach

        if self._session is not None:
            self._session.close()
        self.close()
        master = reach.master(self._context, self._name)
        self._host = master.private_ip
        self._remote = self._context.connector.connect(master, self._name)
        self._session = self.another()

    def another(self) -> HiveSession:
        """One more session over the same connection."""
        from hcluster.executors import hive

        if self._remote is None:
            raise UnreachableError(f"the connection to cluster {self._name} is closed")
        return hive.connect(
            self._remote,
            host=self._host,
            user=self._context.principal.user,
            clock=self._context.clock,
            settings=self._settings,
        )

    def close(self) -> None:
        """End the connection; safe to repeat."""
        remote, self._remote = self._remote, None
        if remote is not None:
            remote.close()


def _prompt(state: CliState, name: str, form: Format, settings: dict[str, str], timeout: float) -> None:
    """Statements as they are typed."""
    from hcluster.cli import wire
    from hcluster.cli.config import state_folder
    from hcluster.cli.sql.complete import candidates
    from hcluster.cli.sql.history import History
    from hcluster.cli.sql.prompt import Prompt
    from hcluster.cli.sql.terminal import reader
    from hcluster.executors.hive_names import Names

    context = wire.context(state)
    with contextlib.ExitStack() as stack:
        with reporter() as report:
            report(Progress("connect", f"connecting to HiveServer2 of cluster {name}"))
            link = stack.enter_context(_Link(context, name, settings))
            report(Progress("connect", f"HiveServer2 of cluster {name}, as {context.principal.user}", state="ok"))
        names = stack.enter_context(Names(link.another))
        print("Statements end with a semicolon; \\? for help, \\q or Ctrl-D to leave.")

        def complete(before: str, after: str) -> tuple[int, list[Candidate]]:
            return candidates(before, after, names, prompt.database)

        typed = reader(History(state_folder() / "sql_history"), complete)
        prompt = Prompt(name, link, typed, names.refresh, form, timeout)
        prompt.run()


def _format(text: str) -> Format:
    for form in FORMATS:
        if text == form:
            return form
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(FORMATS)}", param_hint="--format")


def _source(statements: str, file: Path | None) -> str:
    """The text with the statements."""
    if bool(statements) == (file is not None):
        raise UsageError(
            "give either statements or -f FILE",
            hint='hcluster sql NAME "select 1", or hcluster sql NAME -f query.sql; on a terminal neither, for a prompt',
        )
    if statements == "-":
        return sys.stdin.read()
    if file is None:
        return statements
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(
            f"cannot read {file}: {getattr(cause, 'strerror', None) or 'it is not UTF-8 text'}",
            hint="-f names a file of this machine; - reads standard input",
        ) from cause


def _settings(pairs: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` each."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key.strip() or not equals:
            raise UsageError(f"--set {pair!r} is not KEY=VALUE", hint="--set hive.exec.parallel=true")
        found[key.strip()] = value
    return found
