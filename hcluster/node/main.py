"""The command ``hcluster-node``, run by systemd units that Puppet installs."""

from __future__ import annotations

import sys

from hcluster.errors import HclusterError

USAGE = """usage: hcluster-node bootstrap | converge | health | expire

  bootstrap   from a booted machine to a member of its cluster (at each boot)
  converge    apply the pinned Puppet release again (by a timer)
  expire      end this node, its lifetime is over
  health      wait until this node's daemons are up, print when each was
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    verb = words[0] if len(words) == 1 else ""
    try:
        if verb == "bootstrap":
            from hcluster.node.bootstrap import bootstrap

            return bootstrap()
        if verb == "converge":
            from hcluster.node.bootstrap import converge

            return converge()
        if verb == "expire":
            from hcluster.node.bootstrap import expire

            return expire()
        if verb == "health":
            from hcluster.node import health
            from hcluster.node.bootstrap import HEALTH_SECONDS, Paths

            for name, at in health.wait(health.load(Paths().etc / "health.json"), HEALTH_SECONDS).items():
                print(f"{name} {at:.3f}")
            return 0
    except HclusterError as cause:
        print(f"hcluster-node: {cause.message}\n{cause.context}".rstrip(), file=sys.stderr)
        return 1
    print(USAGE, end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
