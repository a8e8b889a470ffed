"""Tables, JSON, ages, errors and progress as people and programs see them."""

from __future__ import annotations

import io
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from hcluster.cli import failures
from hcluster.cli.output import progress as display
from hcluster.cli.output import render
from hcluster.cli.output.progress import Lines, reporter
from hcluster.errors import (
    CapacityError,
    DeadlineError,
    HclusterError,
    JobFailedError,
    RemoteCommandError,
    SpecError,
    UsageError,
)
from hcluster.model.events import Progress
from hcluster.model.views import DownResult, Finding

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (90061, "1d01h")],
)
def test_ages_are_in_the_two_largest_units(seconds: int, text: str) -> None:
    assert render.age(NOW - timedelta(seconds=seconds), NOW) == text


def test_columns_are_aligned_and_control_characters_removed() -> None:
    text = render.table(("a", "long"), [("x\x1b[31my", "b"), ("z\n", "22")])
    assert text == "A       LONG\nx[31my  b\nz       22"
    assert render.table(("a",), [], empty="nothing") == "nothing"


def test_a_column_of_numbers_stands_at_its_right_end_so_that_they_compare() -> None:
    rows = [
        ("1", "0.25", "5%", "+1.5 to +12.0", "1/3"),
        ("12", "12.00", "100%", "unknown", "10/12"),
        ("-", "", "-", "-", "-"),
    ]
    assert render.table(("mib", "usd", "done", "more", "ready"), rows).splitlines() == [
        "MIB    USD  DONE           MORE  READY",
        "  1   0.25    5%  +1.5 to +12.0  1/3",
        " 12  12.00  100%        unknown  10/12",
        "  -            -              -  -",
    ]
    assert render.table(("a",), [("-",), ("",)]) == "A\n-\n"


def test_on_a_terminal_a_long_finding_is_broken_behind_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Finding("rights", ok=True, message="you may up, wait, resize, down and whatever a reader may"),
        Finding("image", ok=False, message="none", cure="run this or that and then look once more"),
    ]
    whole = render.findings_table(found)
    assert whole.splitlines()[0] == "ok      rights  you may up, wait, resize, down and whatever a reader may"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "50")
    assert render.findings_table(found).splitlines() == [
        "ok      rights  you may up, wait, resize, down and",
        "                whatever a reader may",
        "failed  image   none",
        "                run this or that and then look",
        "                once more",
    ]
    monkeypatch.setenv("COLUMNS", "30")
    assert render.findings_table(found) == whole


def test_on_a_terminal_that_is_too_narrow_wide_cells_go_on_in_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ("id", "what", "state", "mib")
    rows = [("application_1795334107744_0001", "a name of several words", "ready", "512"), ("b", "short", "-", "64")]
    whole = render.table(columns, rows)
    assert max(map(len, whole.splitlines())) == 67
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "67")
    assert render.table(columns, rows) == whole
    monkeypatch.setenv("COLUMNS", "65")
    assert render.table(columns, rows).splitlines() == [
        "ID                              WHAT                   STATE  MIB",
        "application_1795334107744_0001  a name of several      ready  512",
        "                                words",
        "b                               short                  -       64",
    ]
    # Nobody finds a way through columns of single letters, and names are there to be copied.
    monkeypatch.setenv("COLUMNS", "50")
    assert render.table(columns, rows) == whole
    assert render.table(("id",), [("x" * 90,)]) == f"ID\n{'x' * 90}"


def test_ids_stay_whole_in_a_column_that_is_made_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "44")
    rows = [("2026-11-22 07:53:37", "master i-20635b5b5235cb2cb"), ("2026-11-22 07:53:38", "core i-07cf3b269e753c134")]
    assert render.table(("time", "node"), rows).splitlines() == [
        "TIME                 NODE",
        "2026-11-22 07:53:37  master",
        "                     i-20635b5b5235cb2cb",
        "2026-11-22 07:53:38  core",
        "                     i-07cf3b269e753c134",
    ]


def test_no_word_of_a_wide_cell_is_lost_where_a_word_is_wider_than_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    lines = render.table(("id", "name"), [("1", "HIVE-61452ea5-202a-4a09-a399-fdabf5370a67")]).splitlines()
    assert max(map(len, lines)) <= 30
    assert "".join(line[4:] for line in lines[1:]) == "HIVE-61452ea5-202a-4a09-a399-fdabf5370a67"


def test_json_holds_times_in_utc_paths_and_nested_values() -> None:
    value = {"at": NOW.astimezone(), "path": Path("/a"), "down": DownResult("a", 1, 0, 0, 0), "tags": ("x",)}
    assert json.loads(render.to_json(value)) == {
        "at": "2026-01-10T12:00:00Z",
        "path": "/a",
        "down": {"name": "a", "terminated": 1, "interfaces": 0, "templates": 0, "volumes": 0},
        "tags": ["x"],
    }


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert "\x1b[32mready" in render.table(("state",), [("ready",)])
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in render.table(("state",), [("ready",)])


def test_the_cure_stands_below_a_failed_check_only() -> None:
    text = render.findings_table(
        [
            Finding("bucket", ok=False, message="gone", cure="run this\nthen that"),
            Finding("net", ok=True, message="fine", cure="x"),
        ]
    )
    assert text.splitlines() == [
        "failed  bucket  gone",
        "                run this",
        "                then that",
        "ok      net     fine",
    ]


def test_what_fails_for_one_reason_is_explained_once() -> None:
    findings = [Finding(check, ok=False, message="no credentials", cure="log in") for check in ("who", "bucket", "net")]
    assert render.findings_table(findings).splitlines() == [
        "failed  who     no credentials",
        "                log in",
        "failed  bucket  as who",
        "failed  net     as who",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HclusterError("a"), 1),
        (CapacityError("a"), 1),
        (UsageError("a"), 2),
        (SpecError("a"), 2),
        (RemoteCommandError("a", exit_code=42), 42),
        (JobFailedError("a", exit_code=3), 3),
        (RemoteCommandError("a", exit_code=0), 1),
        (RemoteCommandError("a", exit_code=-9), 1),
        (failures.InterruptedFlowError("a"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_follows_the_class_of_the_error(error: BaseException, code: int) -> None:
    stream = io.StringIO()
    assert failures.tell(error, stream=stream) == code
    assert stream.getvalue().startswith("error: ")


def test_an_error_shows_message_reference_context_and_hint() -> None:
    error = DeadlineError("too \x1blate", context="one\ntwo\n", hint="do this\nor that")
    assert failures.text(error).splitlines() == [
        "error: too late [deadline]",
        "  one",
        "  two",
        "hint: do this",
        "      or that",
    ]


def test_piped_progress_is_one_line_a_news_with_the_time() -> None:
    stream = io.StringIO()
    report = Lines(stream, now=lambda: 0)
    for progress in (
        Progress("nodes", "2 booted", 0, 3),
        Progress("nodes", "2 booted", 0, 3),
        Progress("nodes", "2 booted", 1, 3),
        Progress("nodes", "3 ready", 3, 3, "ok"),
        Progress("data", "lost", state="failed"),
    ):
        report(progress)
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == ["2 booted (0/3)", "3 ready (3/3)", "FAILED: lost"]
    assert "\x1b" not in stream.getvalue()


def test_piped_counts_are_lines_every_few_seconds() -> None:
    stream, seconds = io.StringIO(), [0.0]
    report = Lines(stream, now=lambda: seconds[0])
    for at, done in ((0.0, 0), (1.0, 1), (4.9, 2), (5.0, 3), (9.9, 4), (20.0, 4)):
        seconds[0] = at
        report(Progress("put", "uploading", done, 9))
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "uploading (0/9)",
        "uploading (3/9)",
        "uploading (4/9)",
    ]


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with reporter(stream=stream) as report:
        report(Progress("a", "step"))
    assert "step" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_what_takes_long_without_steps_is_shown_and_wiped_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "SILENT_SECONDS", -1.0)
    screen = Terminal()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    with reporter(console, asking="asking for the clusters"):
        pass
    assert "asking for the clusters  0s" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K"), "the line is erased"
    with reporter(console, asking="asking for more") as report:
        report(Progress("a", "a step", state="ok"))
    assert "asking for more" not in screen.getvalue()


def test_what_takes_long_without_steps_is_a_line_where_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, told = io.StringIO(), threading.Event()
    ask = Lines.ask

    def asked(lines: Lines, what: str) -> None:
        ask(lines, what)
        told.set()

    monkeypatch.setattr(Lines, "ask", asked)
    monkeypatch.setattr(display, "ASKING_SECONDS", 0.0)
    with reporter(stream=stream, asking="asking for \x1bthe clusters"):
        assert told.wait(60)
    assert re.fullmatch(r"\d\d:\d\d:\d\d asking for the clusters\n", stream.getvalue())


def test_what_has_steps_is_told_by_these_and_what_is_quick_by_nothing() -> None:
    stream = io.StringIO()
    with reporter(stream=stream, asking="asking"):
        pass
    lines = Lines(stream, now=lambda: 0)
    lines(Progress("a", "step"))
    lines.ask("asking")
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["step"]


def test_a_terminal_that_cannot_draw_gets_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with reporter() as report:
        report(Progress("a", "step", state="ok"))
    told = capsys.readouterr().err
    assert told.endswith(" step\n")
    assert "\x1b" not in told


def test_a_terminal_keeps_one_line_a_step_with_its_end() -> None:
    screen = Terminal()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    with reporter(console) as report:
        report(Progress("bucket", "bucket lake", state="ok"))
        report(Progress("nodes", "2 booted", 1, 3))
        report(Progress("other", "[red]not markup[/red]", state="failed"))
    last = screen.getvalue()
    assert "✓ bucket lake" in last
    assert "- 2 booted" in last, "what was under way when it broke off is neither done nor failed"
    assert "✗ [red]not markup[/red]" in last


def test_what_the_context_only_says_again_is_told_once() -> None:
    error = HclusterError("no column carier", context="select carier\nwhile compiling: no column carier", hint="look")
    assert failures.text(error).splitlines() == [
        f"error: no column carier [{error.reference}]",
        "  select carier",
        "hint: look",
    ]


def test_a_line_of_the_context_that_says_more_than_the_message_stays() -> None:
    error = HclusterError(
        "no column carier", context="FAILED: no column carier in line 3, near 'from'\nno column carier"
    )
    assert failures.text(error).splitlines()[1:] == ["  FAILED: no column carier in line 3, near 'from'"]
    assert failures.text(HclusterError("", context="all that is known")).splitlines()[1:] == ["  all that is known"]


def test_a_step_that_told_its_own_seconds_is_not_told_others() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with display.live(console) as report:
        report(Progress("sql", "0.3 s \u00b7 2 tasks", 100, 100, "ok"))
        report(Progress("bake", "baked", state="ok"))
    assert isinstance(console.file, io.StringIO)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert re.search(r"0\.3 s \u00b7 2 tasks *$", shown, re.MULTILINE)
    assert re.search(r"baked  \d+s *$", shown, re.MULTILINE)
    assert not re.search(r"tasks +\d+s", shown)
