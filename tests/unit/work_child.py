"""``hcluster sql`` in a process of its own, for a cluster ``flights`` whose HiveServer2 listens on a port of loopback.

Arguments: the port, then the words of the command. Prints its largest resident size in KiB as the last line of stderr.
"""

from __future__ import annotations

import resource
import socket
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from hcluster.cli import app, wire
from hcluster.flows import reach


@dataclass
class Loopback:
    """A session whose channels all lead to one port."""

    port: int

    def open_channel(self, _host: str, _port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port))

    def close(self) -> None:
        pass


def main() -> int:
    remote = Loopback(int(sys.argv[1]))
    context = SimpleNamespace(
        principal=SimpleNamespace(user="jane"),
        connector=SimpleNamespace(connect=lambda _instance, _cluster: remote),
        clock=wire.SystemClock(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "context", lambda _state: context)
        patch.setattr(reach, "master", lambda _context, _name: SimpleNamespace(private_ip="127.0.0.1"))
        code = app.run(sys.argv[2:])
    sys.stderr.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
