"""A launch with a lifetime: each of its nodes ends itself, whether or not anybody is there to ask for it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from hcluster.errors import NodeFailedError

UNIT = "hcluster-lifetime"
PROGRAM = "/usr/local/bin/hcluster-node"
ACCURACY = "--timer-property=AccuracySec=1s"
"""Without it systemd may be a minute late, and a minute of a thousand nodes costs."""
_MESSAGE = "the end of this node's lifetime cannot be arranged"


def command(expires_at: int, now: float) -> list[str]:
    """The command that lets systemd end this node when its time has come; at once when it has passed. Pure."""
    seconds = max(1, int(expires_at - now))
    return ["systemd-run", "--quiet", f"--unit={UNIT}", f"--on-active={seconds}", ACCURACY, PROGRAM, "expire"]


def told(var: Path, at_launch: int) -> int:
    """The end as this node was told it last; ``at_launch`` when it was told no other since its launch."""
    try:
        return int((var / UNIT).read_text())
    except (OSError, ValueError):
        return at_launch


def change(expires_at: int, at_launch: int, var: Path) -> None:
    """Arrange another end, 0 for none, also for later boots; nothing when it is the one that is arranged.

    Raises:
        NodeFailedError: systemd refused.
    """
    if expires_at == told(var, at_launch):
        return
    try:
        subprocess.run(["systemctl", "stop", f"{UNIT}.timer"], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise NodeFailedError(_MESSAGE, context=str(cause)) from cause
    arrange(expires_at)
    var.mkdir(parents=True, exist_ok=True)
    (var / UNIT).write_text(f"{expires_at}\n")


def arrange(expires_at: int) -> None:
    """Arrange the end; nothing for a standing cluster, nor when it is arranged already in this boot.

    Raises:
        NodeFailedError: systemd refused, and a node that may live for ever would cost for ever.
    """
    if not expires_at:
        return
    try:
        known = subprocess.run(["systemctl", "is-active", "--quiet", f"{UNIT}.timer"], check=False, timeout=20)
        if known.returncode == 0:
            return
        order = command(expires_at, time.time())
        done = subprocess.run(order, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise NodeFailedError(_MESSAGE, context=str(cause)) from cause
    if done.returncode != 0:
        raise NodeFailedError(_MESSAGE, context=done.stderr)
