"""The command ``hcluster-node``, run by systemd units that Puppet installs."""

from __future__ import annotations

import sys
from collections.abc import Callable

from hcluster.errors import HclusterError

USAGE = """usage: hcluster-node bootstrap | converge | drain | health | archives | expire | dump | fetch-dump FILE

  bootstrap   from a booted machine to a member of its cluster (at each boot)
  converge    apply what this node is told to be (when it is told something else, and by a timer)
  drain       answer once the nodes that a master is told to leave out are empty
  expire      end this node, its lifetime is over
  health      wait until this node's daemons are up, print when each was
  archives    name the daemons that run without their class-data archive; exit code 1 when there are any
  dump        write what this node keeps for others into the bucket (by a timer, and when the machine ends)
  fetch-dump  write the newest dump to FILE; exit code 4 when there never was one
"""


def _bootstrap(_words: list[str]) -> int:
    from hcluster.node.bootstrap import bootstrap

    return bootstrap()


def _converge(_words: list[str]) -> int:
    from hcluster.node.converge import converge

    return converge()


def _drain(_words: list[str]) -> int:
    from hcluster.node.converge import watch_drain

    return watch_drain()


def _expire(_words: list[str]) -> int:
    from hcluster.node.bootstrap import expire

    return expire()


def _health(_words: list[str]) -> int:
    from hcluster.node import health
    from hcluster.node.bootstrap import HEALTH_SECONDS, Paths

    for name, at in health.wait(health.load(Paths().etc / "health.json"), HEALTH_SECONDS).up.items():
        print(f"{name} {at:.3f}")
    return 0


def _archives(_words: list[str]) -> int:
    from hcluster.node import archives, health
    from hcluster.node.bootstrap import Paths

    found = archives.unused([check.unit for check in health.load(Paths().etc / "health.json")])
    for unit, why in found.items():
        print(f"{unit}: {why}")
    return 1 if found else 0


def _dumps(words: list[str]) -> int:
    from hcluster.node import dumps

    return dumps.main(words)


VERBS: dict[tuple[str, int], Callable[[list[str]], int]] = {
    ("bootstrap", 0): _bootstrap,
    ("converge", 0): _converge,
    ("drain", 0): _drain,
    ("archives", 0): _archives,
    ("expire", 0): _expire,
    ("health", 0): _health,
    ("dump", 0): _dumps,
    ("fetch-dump", 1): _dumps,
}
"""By name and number of arguments. Each imports what it needs: some run while a machine ends."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    verb = VERBS.get((words[0], len(words) - 1)) if words else None
    if verb is None:
        print(USAGE, end="", file=sys.stderr)
        return 2
    try:
        return verb(words)
    except HclusterError as cause:
        print(f"hcluster-node: {cause.message}\n{cause.context}".rstrip(), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
