"""A node's logs: a daemon's by SSH, the console when nothing else can be had."""

from __future__ import annotations

import re

from hcluster.errors import RemoteCommandError, UsageError
from hcluster.flows.context import Context
from hcluster.flows.reach import targets

_UNIT = re.compile(r"[A-Za-z0-9@_.-]+")
BOOTSTRAP_UNIT = "hcluster-bootstrap"


def command(unit: str, lines: int) -> str:
    """The shell command that prints the end of a unit's log file, or of its journal when it has no file."""
    if not _UNIT.fullmatch(unit):
        raise UsageError(f"{unit!r} is no name of a systemd unit")
    name = unit.removesuffix(".service")
    file = f"/var/log/hadoop/{name}.log"
    return (
        f"if sudo test -s {file}; then sudo tail -n {lines:d} {file}; "
        f"else sudo journalctl --no-pager -o short-iso -n {lines:d} -u {name}; fi"
    )


def logs(ctx: Context, name: str, instance: str, unit: str = "", lines: int = 200) -> str:
    """The last ``lines`` lines of a unit's log on a node; without a unit, the console as the cloud keeps it.

    Raises:
        RemoteCommandError: the node could not read it.
    """
    node = targets(ctx, name, instance=instance)[0]
    if not unit:
        return "\n".join(ctx.compute.console(node.id).splitlines()[-lines:])
    remote = ctx.connector.connect(node, name)
    try:
        code, out, err = remote.run(command(unit, lines), timeout=60)
    finally:
        remote.close()
    if code != 0:
        raise RemoteCommandError(
            f"{unit} on {node.id} has no log that can be read", exit_code=code, context=err.decode(errors="replace")
        )
    return out.decode(errors="replace")
