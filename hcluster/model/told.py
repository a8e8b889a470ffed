"""What a running node is told to be: the value of ``names.TAG_TOLD`` and the check-ins that answer it.

The value names a configuration and a Puppet release by their full digests, so that a node needs nothing else to fetch
and to verify both. Whoever may set the tag (IAM: ``ec2:CreateTags``) can choose among what lies in the bucket, no more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FORM = re.compile(r"([0-9a-f]{64})-([0-9a-f]{64})(?:-([0-9]{1,12}))?")

_READABLE = re.compile(r"[0-9A-Za-z_.:=,+@-]+")
_RESERVED = (".", "..", "_index")
CONVERGED, UNCONVERGED, DRAINED = "converged", "unconverged", "drained"
"""What a node answers: it applied what it was told; it could not; what it was told to leave out is empty (masters)."""


@dataclass(frozen=True, slots=True)
class Told:
    """Two SHA-256 digests (hex)."""

    config: str
    release: str

    def tag(self, again: int = 0) -> str:
        """The tag's value. With another number in ``again`` it is told anew what it was told before."""
        return f"{self.config}-{self.release}" + (f"-{again}" if again else "")

    def mark(self, again: int = 0) -> str:
        """A short name for the tag's value, in the keys of check-ins."""
        return hashlib.sha256(self.tag(again).encode()).hexdigest()[:16]

    def answer(self, word: str, again: int = 0) -> str:
        """The phase with which a node answers to that value of the tag, and to no earlier one."""
        return f"{word}.{self.mark(again)}"

    @staticmethod
    def parse(text: str) -> Told | None:
        """None for what ``tag`` does not write, such as the tags of earlier versions."""
        match = _FORM.fullmatch(text)
        return Told(match[1], match[2]) if match else None

    @staticmethod
    def again(text: str) -> int:
        """The number that ``tag`` was given, 0 for none: when the same was told again, in epoch seconds."""
        match = _FORM.fullmatch(text)
        return int(match[3] or 0) if match else 0


def can_hear(keys: Iterable[str]) -> bool:
    """Whether a node whose tags have these keys may read them: with any other letter EC2 does not launch a node that
    reads its tags.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
    """
    return all(_READABLE.fullmatch(key) and key not in _RESERVED for key in keys)


def latest_answers(times: Mapping[str, float]) -> frozenset[str]:
    """The newest of a node's answers to what it was told, none when it never gave one; ``times`` by phase.

    More than one when S3, which counts whole seconds, does not tell which was first.
    """
    answers = {phase: at for phase, at in times.items() if phase.startswith((f"{CONVERGED}.", f"{UNCONVERGED}."))}
    newest = max(answers.values(), default=0.0)
    return frozenset(phase for phase, at in answers.items() if at == newest)
