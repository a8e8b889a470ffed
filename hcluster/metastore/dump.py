"""A dump of the metastore's database, asked of the platform's node: it writes into the bucket by its own role."""

from __future__ import annotations

from hcluster.errors import RemoteCommandError
from hcluster.ports import Remote

COMMAND = ("sudo", "hcluster-node", "dump")
SECONDS = 900.0


def dump(remote: Remote) -> None:
    """Let the node write one now.

    Raises:
        RemoteCommandError: the database could not be read whole, or the bucket did not take it.
    """
    code, _, err = remote.run(COMMAND, timeout=SECONDS)
    if code != 0:
        raise RemoteCommandError(
            "the metastore's database could not be dumped",
            exit_code=code,
            context=err.decode(errors="replace")[-4000:],
            hint="see `hcluster logs platform platform --unit mariadb`",
        )
