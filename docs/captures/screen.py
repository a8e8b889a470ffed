"""A terminal's screen, as far as hcluster's own output needs one: colours, and lines that are drawn again in place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b[=>78]")
_RESET = "\x1b[0m"


@dataclass
class Screen:
    """Lines of (letter, colours) that grow downwards without end."""

    width: int
    lines: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    _style: str = ""
    _rest: str = ""

    def feed(self, text: str) -> None:
        """Take what a program wrote; a sequence that is cut off waits for its end."""
        text = self._rest + text
        self._rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = _SEQUENCE.match(text, at)
                if not match:
                    if len(text) - at < 32:
                        self._rest = text[at:]
                        return
                    at += 1
                    continue
                if match[2]:
                    self._control(match[1], match[2])
                at = match.end()
                continue
            self._letter(text[at])
            at += 1

    def _letter(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self._down(self.row + 1)
        elif letter == "\b":
            self.column = max(0, self.column - 1)
        elif letter == "\t":
            self.column += 8 - self.column % 8
        elif letter >= " ":
            if self.column >= self.width:
                self._down(self.row + 1)
                self.column = 0
            line = self.lines[self.row]
            line += [(" ", "")] * (self.column - len(line))
            line[self.column : self.column + 1] = [(letter, self._style)]
            self.column += 1

    def _down(self, row: int) -> None:
        self.row = row
        while len(self.lines) <= row:
            self.lines.append([])

    def _control(self, numbers: str, letter: str) -> None:
        first = int(numbers.split(";", maxsplit=1)[0]) if numbers.split(";", maxsplit=1)[0].isdigit() else 0
        if letter == "m":
            self._style = "" if numbers in ("", "0") else f"{self._style}\x1b[{numbers}m"
        elif letter == "A":
            self.row = max(0, self.row - max(first, 1))
        elif letter == "B":
            self._down(self.row + max(first, 1))
        elif letter == "C":
            self.column += max(first, 1)
        elif letter == "D":
            self.column = max(0, self.column - max(first, 1))
        elif letter == "G":
            self.column = max(0, first - 1)
        elif letter == "K":
            self.lines[self.row] = [] if first == 2 else self.lines[self.row][: self.column]
        elif letter == "J":
            self.lines[self.row :] = [self.lines[self.row][: self.column]]

    def text(self) -> str:
        """Without colours, without blanks at the ends of lines and without empty lines around."""
        return "\n".join("".join(letter for letter, _ in line).rstrip() for line in self.lines).strip("\n")

    def coloured(self) -> str:
        """With the sequences of its colours."""
        shown = []
        for line in self.lines:
            style, parts = "", []
            for letter, wanted in line:
                if wanted != style:
                    parts.append(_RESET + wanted if style else wanted)
                    style = wanted
                parts.append(letter)
            shown.append("".join(parts).rstrip() + (_RESET if style else ""))
        return "\n".join(shown).strip("\n")
