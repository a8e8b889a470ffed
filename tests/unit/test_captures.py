"""The screen behind docs/captures shows what a terminal would."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[2] / "docs" / "captures"
sys.path.insert(0, str(CAPTURES))

from screen import Screen  # type: ignore[import-not-found]  # noqa: E402 - a script's neighbour


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("one\r\ntwo", "one\ntwo"),
        ("slow\rfast", "fast"),
        ("a\r\nb\x1b[1A\r\x1b[2Kc", "c\nb"),
        ("\x1b[31mred\x1b[0m plain", "red plain"),
        ("abc\x1b[2Dx", "axc"),
        ("abcdef\x1b[3G\x1b[K", "ab"),
        ("1\r\n2\r\n3\x1b[2A\x1b[J", "1"),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("\x1b]0;title\x07text", "text"),
        ("12345678901234", "1234567890\n1234"),
    ],
)
def test_what_is_written_is_shown_as_a_terminal_shows_it(written: str, shown: str) -> None:
    screen = Screen(10 if len(written) == 14 else 80)
    screen.feed(written)
    assert screen.text() == shown
    pieces = Screen(screen.width)
    for letter in written:
        pieces.feed(letter)
    assert pieces.text() == shown, "however it is cut into pieces"


def test_colours_stay_with_their_letters() -> None:
    screen = Screen(80)
    screen.feed("a\x1b[32mok\x1b[0mb")
    assert screen.coloured() == "a\x1b[32mok\x1b[0mb"


def test_the_captures_are_of_commands_that_exist() -> None:
    import make  # type: ignore[import-not-found]

    from hcluster.cli.app import ENTRIES

    words = {capture.words.split()[0] for capture in make.CAPTURES} - {"--help"}
    assert words <= set(ENTRIES)
    assert {path.stem for path in CAPTURES.glob("*.svg")} == {one.drawn for one in make.CAPTURES if one.drawn}
