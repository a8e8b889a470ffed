"""What Packer says with -machine-readable, as it says it: its steps, its messages, its errors and its image."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

_PREFIX = re.compile(r"^(?:==> |--> | {4})?amazon-ebs[\w.-]*: ?")
"""``==> amazon-ebs.hadoop: `` before each line for people."""
_NOISE = ("Provisioning with shell script", "Uploading ", "Adding tag", "Creating AMI tags", "Creating snapshot tags")
"""Of Packer, where our scripts' marks say more, or which take no time."""
_MARK = "## "
"""Our own scripts' lines that name what they do."""
_FAILED = re.compile(
    r"Provisioning step had errors|Error \w+ing |Timeout waiting for|Cancelling |Caught signal|Build '\S+' errored"
)
"""What Packer says when it gives up; then it only tells how it cleans up."""
_KEPT = 40


@dataclass
class Transcript:
    """Fed with lines, it knows where the bake is.

    ``step`` is for people, and stays at the one that failed; ``image`` is "" until there is one; ``errors`` is what
    made Packer give up. (What a script writes to stderr reaches us as an error, too, and mostly is none.)
    """

    step: str = "starting Packer"
    image: str = ""
    errors: list[str] = field(default_factory=list)
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def feed(self, line: str) -> bool:
        """Take one line of output; whether a new step began."""
        parts = line.split(",")
        if len(parts) < 4:  # not machine-readable: a panic, or a complaint about the arguments
            self._last.append(line)
            return False
        kind, data = parts[2], [_plain(part) for part in parts[3:]]
        if kind == "artifact" and data[1:2] == ["id"]:
            self.image = data[2].rsplit(":", 1)[-1]
        elif kind == "ui":
            return self._say(data[0], data[1] if len(data) > 1 else "")
        return False

    def context(self) -> str:
        """The last messages before Packer gave up, and why it did."""
        return "\n".join([*self._last, *dict.fromkeys(self.errors)])

    def _say(self, kind: str, text: str) -> bool:
        of_the_build = _PREFIX.match(text)
        lines = [line for line in (_PREFIX.sub("", line).rstrip() for line in text.splitlines()) if line]
        if any(_FAILED.search(line) for line in lines):
            self.errors += lines
        if self.errors:
            return False
        self._last.extend(lines)
        if kind == "error":
            return False
        marks = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
        said = [line for line in lines if of_the_build and not line.startswith(_NOISE)]
        steps = marks if kind == "message" else said
        if steps and steps[-1] != self.step:
            self.step = steps[-1]
            return True
        return False


def _plain(text: str) -> str:
    """Undo the escapes of machine-readable output."""
    return text.replace("%!(PACKER_COMMA)", ",").replace("\\r", "").replace("\\n", "\n")
