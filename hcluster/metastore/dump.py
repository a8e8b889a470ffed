"""The metastore's database as a compressed SQL text, taken from and given back to the platform's node."""

from __future__ import annotations

from hcluster.errors import RemoteCommandError
from hcluster.ports import Remote

DATABASE = "metastore"
"""As Puppet names it (``profile::metastore::database``)."""

# bash, for a pipe that fails when its first part does. The tables are locked for nobody: InnoDB gives a snapshot.
DUMP = f"set -o pipefail; mariadb-dump --single-transaction --hex-blob --routines {DATABASE} | zstd -q -c"
RESTORE = (
    f"set -eo pipefail; systemctl stop hive-metastore; zstd -q -d -c | mariadb {DATABASE}; "
    "systemctl start hive-metastore; hcluster-node health"
)
SECONDS = 900.0


def dump(remote: Remote) -> bytes:
    """The whole database.

    Raises:
        RemoteCommandError: it could not be read whole.
    """
    return _run(remote, DUMP, "the metastore's database could not be dumped")


def restore(remote: Remote, body: bytes) -> None:
    """Replace the database and wait until the metastore answers again.

    Raises:
        RemoteCommandError: the dump could not be loaded, or the metastore does not come up on it.
    """
    _run(remote, RESTORE, "the metastore's database could not be restored", body)


def _run(remote: Remote, script: str, failure: str, stdin: bytes = b"") -> bytes:
    code, out, err = remote.run(["sudo", "bash", "-c", script], stdin=stdin, timeout=SECONDS)
    if code != 0:
        raise RemoteCommandError(
            failure,
            exit_code=code,
            context=err.decode(errors="replace")[-4000:],
            hint="see `hcluster logs platform platform --unit mariadb`",
        )
    return out
