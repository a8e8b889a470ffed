"""`hcluster data`: files in the platform's bucket."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from hcluster.cli.output.pipes import quiet_pipe

T = TypeVar("T")
app = typer.Typer(help="Put files into the platform's bucket, read and list them.", no_args_is_help=True)


@app.command()
def put(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to upload.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="Where to: data/…, tmp/… or a whole s3a:// address.")],
) -> None:
    """Upload a file of any size.

    It keeps its name below a key that ends with a slash. An object of that key is replaced.

    \b
    Examples:
      hcluster data put flights.csv data/flights/
      hcluster data put june.orc s3a://BUCKET/data/june.orc
    """
    from hcluster.cli import wire
    from hcluster.cli.output.progress import reporter
    from hcluster.flows import data

    with reporter() as report:
        address = data.put(wire.context(ctx.obj, report), file, key)
    print(json.dumps({"address": address}) if ctx.obj.output == "json" else address)


@app.command()
def cat(ctx: typer.Context, key: Annotated[str, typer.Argument(metavar="KEY", help="The object to print.")]) -> None:
    """Print an object's bytes.

    \b
    Examples:
      hcluster data cat tmp/demo/part-r-00000
      hcluster data cat data/flights/june.csv | head
    """
    from hcluster.cli import wire
    from hcluster.flows import data

    pieces = data.cat(wire.context(ctx.obj), key)
    with quiet_pipe(), counted(pieces, len, f"reading {key}", lambda count: f"{count / (1 << 20):.0f} MiB") as read:
        for piece in read:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@app.command("list")
def list_(
    ctx: typer.Context, prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="What the keys begin with.")]
) -> None:
    """List what lies below a prefix.

    \b
    Examples:
      hcluster data list warehouse/
      hcluster data list data/ --output json
    """
    from hcluster.cli import wire
    from hcluster.flows import data
    from hcluster.plan.words import many

    found = data.listing(wire.context(ctx.obj), prefix)
    with quiet_pipe(), counted(found, lambda _: 1, f"listing {prefix}", lambda count: many(count, "object")) as listed:
        rows = ((key, datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")) for key, at in listed)
        if ctx.obj.output == "json":
            print(json.dumps([{"key": key, "modified": at} for key, at in rows], indent=1))
            return
        for key, at in rows:
            print(f"{at}  {key}")
        sys.stdout.flush()


@contextmanager
def counted(
    found: Iterator[T], size: Callable[[T], int], what: str, amount: Callable[[int], str]
) -> Iterator[Iterator[T]]:
    """``found``, while standard error tells how much has come; on a terminal that shows the result itself, only while
    the first of it is waited for: more would be drawn over it."""
    from hcluster.cli.output.progress import Counter, reporter

    if sys.stdout.isatty():
        with reporter(asking=what):
            first = list(islice(found, 1))
        yield chain(first, found)
        return
    with reporter(asking=what) as report:
        counter = Counter(report, "data", lambda count: f"{what}: {amount(count)}")

        def counting() -> Iterator[T]:
            for one in found:
                yield one
                counter.add(size(one))

        yield counting()
        counter.end()
