"""The prompt of ``hcluster sql``: statements one after the other in one session, and a few commands of its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TextIO, cast, get_args

from hcluster.cli.failures import text as failure_text
from hcluster.cli.output.progress import reporter
from hcluster.cli.output.render import clean, colours
from hcluster.cli.output.rows import Format, write
from hcluster.cli.sql import pager
from hcluster.errors import DeadlineError, HclusterError, UnreachableError
from hcluster.executors.interrupts import Interrupts
from hcluster.executors.statements import changes_names, database_of, only_reads, split

if TYPE_CHECKING:
    from hcluster.executors.hive import HiveSession, Result

HELP = r"""
A statement ends with a semicolon and may take several lines. Tab completes, Up and Ctrl-R find earlier ones.
Ctrl-C cancels the statement that runs, or clears what is typed; Ctrl-D leaves.
What begins with a blank, or seems to hold a secret, is not kept in the history.

  \d [TABLE]      the tables of this database, or the columns of one
  \l              all databases
  \format FORM    table, csv or json
  \o [FILE]       rows go to a file; without FILE to the screen again
  \pager on|off   whether results that do not fit on the screen go through $PAGER (less -S)
  \timing         tell how long each statement took, or no more
  \?              this
  \q              leave
""".strip()
LEAVE = ("quit", "exit", "\\q")


class Reader(Protocol):
    """Where statements are typed."""

    def read(self, prompt: str) -> str:
        """The next text. Raises KeyboardInterrupt when it was given up, EOFError at the end."""


class Link(Protocol):
    """A way to HiveServer2 that can be opened again."""

    @property
    def session(self) -> HiveSession:
        """The one that is open."""

    def open(self) -> None:
        """Connect, anew when it was open."""


@dataclass
class Prompt:
    """One sitting."""

    cluster: str
    link: Link
    reader: Reader
    refresh: Callable[[], None]
    """Called when there may be other tables than before."""
    form: Format = "table"
    timeout: float = 3600
    database: str = "default"
    timing: bool = False
    paging: bool = True
    _file: IO[str] | None = field(default=None, init=False)

    def run(self) -> None:
        """Until the user leaves."""
        try:
            while self._turn():
                pass
        finally:
            self._to_file("")

    def _turn(self) -> bool:
        try:
            typed = self.reader.read(f"{self.cluster}:{self.database}> ").strip()
        except KeyboardInterrupt:
            return True
        except EOFError:
            return False
        if typed.rstrip("; ").lower() in LEAVE:
            return False
        try:
            if typed.startswith("\\"):
                self._command(*_words(typed))
            else:
                for statement in split(typed):
                    self._statement(statement)
        except HclusterError as cause:
            print(failure_text(cause, coloured=colours(sys.stderr)), file=sys.stderr)
        except KeyboardInterrupt:
            # The second Ctrl-C, in the middle of a call: what the server still does for it is not waited for.
            print("interrupted; the next statement gets a new session", file=sys.stderr)
            self.link.session.close()
        except OSError as cause:
            print(f"error: {cause}", file=sys.stderr)
        return True

    def _command(self, name: str, argument: str) -> None:
        if name == "\\d":
            self._statement(f"describe {argument}" if argument else "show tables")
        elif name == "\\l":
            self._statement("show databases")
        elif name == "\\o":
            self._to_file(argument)
        elif name == "\\timing":
            self.timing = not self.timing
            print(f"timing is {'on' if self.timing else 'off'}")
        elif name == "\\format" and argument in get_args(Format):
            self.form = cast("Format", argument)
        elif name == "\\pager" and argument in ("on", "off"):
            self.paging = argument == "on"
        elif name == "\\?":
            print(HELP)
        else:
            print(f"{clean(name)} {clean(argument)}".strip() + ": no such command; \\? lists them", file=sys.stderr)

    def _to_file(self, name: str) -> None:
        before, self._file = self._file, None
        if before is not None:
            before.close()
        if name:
            self._file = Path(name).expanduser().open("w", encoding="utf-8")

    def _statement(self, statement: str) -> None:
        """Run it, after a lost connection over a new one; what may have changed something is not run twice."""
        if not self.link.session.alive():
            self._again()
        try:
            self._once(statement)
        except UnreachableError as cause:
            self._again()
            if not only_reads(statement):
                raise UnreachableError(
                    "the connection was lost while the statement ran",
                    context=cause.message,
                    hint="it may have run or not: look before you repeat it",
                ) from cause
            self._once(statement)

    def _again(self) -> None:
        print(
            "the connection to HiveServer2 was lost, connecting again: what `set` changed and temporary tables went",
            file=sys.stderr,
        )
        self.link.open()
        self.refresh()
        if self.database != "default":
            self.link.session.execute(f"use `{self.database}`")

    def _once(self, statement: str) -> None:
        with Interrupts() as interrupted:
            # The display ends before rows are written: it would draw over them.
            with reporter() as report:
                result = self.link.session.execute(
                    statement, report=report, cancelled=interrupted, timeout=self.timeout
                )
            try:
                if result.columns:
                    self._show(result)
            except BrokenPipeError:
                pass  # the pager was left before the last row
            finally:
                self._close(result)
        self.database = database_of(statement) or self.database
        if self.timing:
            print(f"time: {result.seconds:.2f} s")
        if changes_names(statement):
            self.refresh()

    @staticmethod
    def _close(result: Result) -> None:
        # The rows are there; that the connection is not, the next statement finds out.
        with suppress(UnreachableError, DeadlineError):
            result.close()

    def _show(self, result: Result) -> None:
        names, types = [column.name for column in result.columns], [column.type for column in result.columns]
        if self._file is not None:
            rows = write(cast("TextIO", self._file), self.form, names, types, result.rows)
            self._file.flush()
        else:
            columns, lines = shutil.get_terminal_size()
            words = pager.command(os.environ) if self.paging else []
            with pager.Paged(sys.stdout, words, columns, lines - 1) as out:
                rows = write(cast("TextIO", out), self.form, names, types, result.rows)
        print(f"({rows} {'row' if rows == 1 else 'rows'})")


def _words(typed: str) -> tuple[str, str]:
    """A command and its argument; a semicolon at the end is a habit."""
    name, _, argument = typed.rstrip("; ").partition(" ")
    return name, argument.strip()
