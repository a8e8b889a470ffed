"""`hcluster data`: files in the platform's bucket."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hcluster.cli.pipes import quiet_pipe

app = typer.Typer(help="Put files into the platform's bucket, read and list them.", no_args_is_help=True)


@app.command(
    epilog="Examples: hcluster data put flights.csv data/flights/ · hcluster data put june.orc s3a://BUCKET/data/june.orc"
)
def put(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to upload.")],
    key: Annotated[str, typer.Argument(help="Where to: data/…, tmp/… or a whole s3a:// address.")],
) -> None:
    """Upload a file of any size."""
    from hcluster.cli import wire
    from hcluster.cli.progress import reporter
    from hcluster.flows import data

    with reporter() as report:
        address = data.put(wire.context(ctx.obj, report), file, key)
    print(json.dumps({"address": address}) if ctx.obj.output == "json" else address)


@app.command(epilog="Example: hcluster data cat tmp/demo/part-r-00000")
def cat(ctx: typer.Context, key: Annotated[str, typer.Argument(help="The object to print.")]) -> None:
    """Print an object's bytes."""
    from hcluster.cli import wire
    from hcluster.flows import data

    with quiet_pipe():
        for piece in data.cat(wire.context(ctx.obj), key):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@app.command("list", epilog="Example: hcluster data list warehouse/")
def list_(ctx: typer.Context, prefix: Annotated[str, typer.Argument(help="What the keys begin with.")]) -> None:
    """List what lies below a prefix."""
    from hcluster.cli import wire
    from hcluster.flows import data

    rows = (
        (key, datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"))
        for key, at in data.listing(wire.context(ctx.obj), prefix)
    )
    if ctx.obj.output == "json":
        print(json.dumps([{"key": key, "modified": at} for key, at in rows], indent=1))
        return
    for key, at in rows:
        print(f"{at}  {key}")
