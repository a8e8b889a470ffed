"""The command version."""

from __future__ import annotations

import hashlib
import json
import platform
from typing import get_args

import typer

from hcluster.cli.flow import state_of
from hcluster.cli.output import render

SHOWN = {"hadoop.version": "hadoop", "hive.version": "hive", "tez.version": "tez"}
"""Of the pinned distribution, by their names in ami/hadoop/pom.xml."""


def version(ctx: typer.Context) -> None:
    """Print the versions of hcluster, Python, what a bake installs, and the schemas. No call is made.

    \b
    Examples:
      hcluster version
      hcluster version --output json
    """
    from importlib.metadata import version as installed

    found = {
        "hcluster": installed("hcluster"),
        "python": platform.python_version(),
        "distribution": distribution(),
        "schemas": schemas(),
    }
    lines = {"hcluster": found["hcluster"], "Python": found["python"], **(distribution() or {})}
    lines |= {f"schema of {kind}": digest for kind, digest in schemas().items()}
    render.emit(state_of(ctx), found, render.facts_text(lines))


def distribution() -> dict[str, str] | None:
    """Versions that a bake installs; None where the program has no ami/ beside it."""
    from hcluster.cli.ami import sources
    from hcluster.images.distribution import properties

    folder = sources().ami / "hadoop"
    if not (folder / "pom.xml").is_file():
        return None
    pinned = properties(folder)
    return {shown: pinned[name] for name, shown in SHOWN.items() if name in pinned}


def schemas() -> dict[str, str]:
    """What tells one version of a schema from the next: the beginning of its digest."""
    from hcluster.cli.spec.command import output_schema
    from hcluster.spec.load import Kind, schema

    documents = {**{kind: schema(kind) for kind in get_args(Kind)}, "output": output_schema("")}
    return {
        kind: hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
        for kind, document in documents.items()
    }
