"""Take the captures of this folder anew, on a platform that is up: ``python docs/captures/make.py [COMMAND...]``.

HCLUSTER_PLATFORM, HCLUSTER_TEAM and HCLUSTER_STATE say which one; a cluster `flights` is started and ended. Every
command runs on a terminal of its own, as for people; README.md and the drawings hold what it showed. With commands
named, only these are taken, and the others stay as they are.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import shlex
import signal
import struct
import sys
import tempfile
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text
from screen import Screen

HERE = Path(__file__).resolve().parent
HCLUSTER = Path(sys.executable).parent / "hcluster"
WIDTH, HEIGHT = 120, 50
_WHERE = b"\x1b[6n"
"""A program's question for the cursor's place."""
HEAD = """\
# What it looks like

<!-- Taken by docs/captures/make.py on a terminal; changes belong there. -->

Ids, addresses, times and prices are those of the local cloud on which these captures were taken.
"""


@dataclass(frozen=True)
class Capture:
    """One command, and what is typed into it."""

    title: str
    words: str
    """After ``hcluster``."""
    typed: tuple[tuple[str, str], ...] = ()
    """(what the screen ends with, what is typed then), in order."""
    drawn: str = ""
    """Name of the drawing to be made of it, too."""
    frame: str = ""
    """A pattern: the drawing shows the last screen on which it was found, not the end."""
    timeout: float = 900
    codes: tuple[int, ...] = (0,)


CAPTURES = (
    Capture("The commands", "--help", drawn="help"),
    Capture("Is everything there?", "doctor", drawn="doctor", codes=(0, 1)),
    Capture(
        "A first cluster from a few questions",
        "spec init my-flights.yaml",
        typed=(
            ("cluster: ", "flights"),
            ("]: ", ""),
            ("]: ", "someday"),
            ("]: ", "8h"),
            ("]: ", ""),
            ("]: ", ""),
            ("]: ", ""),
            ("]: ", ""),
        ),
    ),
    Capture("What would happen", "up flights.yaml --plan"),
    Capture("Starting it", "up flights.yaml", drawn="up", frame=r"\b[12]/3"),
    Capture("What runs", "list"),
    Capture("One cluster, by the beginning of its name", "show fli", drawn="show"),
    Capture("Where the time went", "show flights --timings"),
    Capture("A command on every node", "exec flights -- uptime -p"),
    Capture("The same, folded", "exec flights --fold -- cat /etc/debian_version"),
    Capture("A job", "job run flights --jar examples --class pi -- 2 10"),
    Capture("What ran", "job list flights --all"),
    Capture("SQL", 'sql flights "show databases"'),
    Capture(
        "SQL at a prompt",
        "sql flights",
        typed=(
            ("flights:default> ", "select name, team, owner, state from hcluster.clusters;"),
            ("flights:default> ", "select carier from hcluster.clusters;"),
            ("flights:default> ", "\\q"),
        ),
    ),
    Capture("What more nodes would cost", "resize flights core=4 --plan"),
    Capture("What happened to it", "events flights"),
    Capture("A name that is nearly right", "show flihgts", codes=(1,)),
    Capture("A spec that is wrong", "spec validate wrong.yaml", codes=(2,)),
    Capture("What its end would take", "down flights --plan"),
    Capture("Ending it", "down fli", typed=(("[y/N] ", "y"),)),
)


@dataclass
class Taken:
    """What a command showed."""

    screen: Screen
    frame: Screen | None = None
    code: int = 0
    seconds: float = field(default_factory=time.monotonic)


def take(capture: Capture, folder: Path) -> Taken:
    """Run a command on a terminal to its end."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        environment.pop("NO_COLOR", None)
        os.execve(HCLUSTER, ["hcluster", *shlex.split(capture.words)], environment)  # noqa: S606 - it becomes the command
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    taken, left = Taken(Screen(WIDTH)), list(capture.typed)
    deadline = time.monotonic() + capture.timeout
    while True:
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGINT)
            deadline = float("inf")
        ready, _, _ = select.select([terminal], [], [], 1.0)
        if not ready:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            # Linux says so when the last process on the other side is gone.
            break
        if not piece:
            break
        taken.screen.feed(piece.decode(errors="replace"))
        if _WHERE in piece:
            # Whoever asks for the cursor's place draws below it.
            os.write(terminal, f"\x1b[{min(taken.screen.row + 1, HEIGHT)};{taken.screen.column + 1}R".encode())
        shown = taken.screen.text()
        if capture.frame and re.search(capture.frame, shown):
            taken.frame = Screen(WIDTH)
            taken.frame.feed(taken.screen.coloured().replace("\n", "\r\n"))
        if left and taken.screen.lines[taken.screen.row] and _line(taken.screen).rstrip().endswith(left[0][0].rstrip()):
            os.write(terminal, f"{left.pop(0)[1]}\r".encode())
    taken.code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    taken.seconds = time.monotonic() - taken.seconds
    return taken


def _line(screen: Screen) -> str:
    return "".join(letter for letter, _ in screen.lines[screen.row])


def draw(name: str, words: str, screen: Screen) -> None:
    """One screen as an SVG, without fonts from anywhere else."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.coloured()))
    text = console.export_svg(title=f"hcluster {words}", unique_id=name)
    plain = re.sub(r"@font-face \{.*?\}\s*", "", text, flags=re.DOTALL).replace("Fira Code, ", "")
    (HERE / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", plain, flags=re.MULTILINE), encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The parts of the page by their titles."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}


def section(capture: Capture, taken: Taken) -> str:
    """What a command showed, as a part of the page; drawn where its colours say something."""
    shown = f"```console\n$ hcluster {capture.words}\n{taken.screen.text()}\n```\n"
    if capture.drawn:
        draw(capture.drawn, capture.words, taken.frame or taken.screen)
        shown += f"\n![{capture.title}]({capture.drawn}.svg)\n"
    return f"## {capture.title}\n\n{shown}"


def main(chosen: list[str]) -> int:
    """Take all of them, or those whose command is one of ``chosen``."""
    page = HERE / "README.md"
    parts = sections(page.read_text(encoding="utf-8")) if page.is_file() and chosen else {}
    wrong = 0
    if platform := os.environ.get("HCLUSTER_PLATFORM"):
        # The commands run in a folder of their own.
        os.environ["HCLUSTER_PLATFORM"] = str(Path(platform).resolve())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "wrong.yaml").write_text("name: Flights\nteam: analytcs\ncore: {cuont: 3}\nlifetime: soon\n")
        (Path(folder) / "flights.yaml").write_text("name: flights\nteam: analytics\nlifetime: 8h\n")
        for capture in CAPTURES:
            if chosen and capture.words not in chosen:
                continue
            taken = take(capture, Path(folder))
            print(f"{taken.seconds:6.1f} s  code {taken.code}  hcluster {capture.words}", flush=True)
            if taken.code not in capture.codes:
                wrong += 1
                print(taken.screen.text(), flush=True)
                continue
            parts[capture.title] = section(capture, taken)
            # At once: what was taken stays when a later one hangs.
            ordered = [parts[one.title] for one in CAPTURES if one.title in parts]
            page.write_text("\n".join([HEAD, *ordered]), encoding="utf-8")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
