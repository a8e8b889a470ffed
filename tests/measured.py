"""How much of hcluster the fast tests run, by lines and branches; ``python -m tests.measured FOLDER`` tells it.

Code is instrumented when it is imported and drops its probes once they have been passed. To be called at each line,
which is all that Python 3.11 offers a tracer, takes as much CPU as the tests themselves.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

VARIABLE = "HCLUSTER_COVERAGE"
"""Names the folder in which each process of pytest leaves what it saw."""
SOURCE = "hcluster"
EXCLUDED = ["if TYPE_CHECKING:", "@overload", "raise NotImplementedError", r"class .*\(Protocol\):"]


class Measured:
    """What this process runs of hcluster from now on: made before anything of it is imported."""

    def __init__(self, folder: Path) -> None:
        from slipcover import FileMatcher, ImportManager, Slipcover

        self._folder = folder
        self._seen = Slipcover(branch=True, source=[SOURCE], exclude_also=EXCLUDED)
        ImportManager(self._seen, FileMatcher(sources=[SOURCE])).__enter__()

    def keep(self) -> None:
        """Write it into the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(self._seen.get_coverage()))


def begun() -> Measured | None:
    """Measures when the environment asks for it."""
    folder = os.environ.get(VARIABLE)
    return Measured(Path(folder)) if folder else None


def main(folder: Path, *, files: bool) -> None:
    """Print the share of lines and branches of all processes together, by file or as one line."""
    from slipcover import merge_coverage, print_coverage

    first, *others = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    for one in others:
        merge_coverage(first, one)
    if files:
        print_coverage(first, skip_covered=True, missing_width=60)
    else:
        sys.stdout.write(
            f"coverage: {first['summary']['percent_covered']:.0f} % "
            f"(by file: .venv/bin/python -m tests.measured {os.path.relpath(folder)} --files)\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), files="--files" in sys.argv[2:])
