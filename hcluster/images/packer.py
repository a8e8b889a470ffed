"""packer-py, made to show what happens while it happens, to keep a deadline and to pass an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packerpy import PackerExecutable

from hcluster.images import process

GRACE_SECONDS = 180
"""After an interrupt: Packer terminates its instance, waits for its end, deletes key pair and volume."""


@dataclass(frozen=True)
class Run:
    """How a Packer process is run; credentials are in ``environment`` and nowhere else."""

    environment: Mapping[str, str]
    log: Path
    deadline: float
    on_line: Callable[[str], None]
    keep_open: tuple[int, ...] = ()


class LivePacker(PackerExecutable):  # type: ignore[misc] # it ships no types
    """Builds command lines as packer-py does, but follows the process instead of waiting for all of its output."""

    def __init__(self, program: str, run: Run) -> None:
        super().__init__(executable_path=program)
        self._run = run

    def execute_cmd(self, packer_cmd: str, template: str | None = None, **kwargs: Any) -> tuple[int, bytes, bytes]:
        """Run one sub-command; (exit code, b"", b""), its output went to the log and to ``on_line``.

        Raises:
            DeadlineError: it took too long, and was interrupted.
            HclusterError: Packer is not installed.
        """
        command = [self.configuration[self.PATH], packer_cmd, "-machine-readable", *self._explode_args(**kwargs)]
        code = process.run(
            [*command, *([template] if template else [])],
            log=self._run.log,
            deadline=self._run.deadline,
            on_line=self._run.on_line,
            env=self._run.environment,
            keep_open=self._run.keep_open,
            grace=GRACE_SECONDS,
        )
        return code, b"", b""
