"""The command doctor."""

from __future__ import annotations

import shutil
from pathlib import Path

import typer

from hcluster.cli.flow import flow, state_of
from hcluster.cli.output import render


def doctor(
    ctx: typer.Context,
    file: Path | None = typer.Argument(
        None, metavar="FILE", help="A cluster's YAML to look at as well.", show_default=False
    ),
) -> None:
    """Check everything that a start needs, and name the cures.

    Credentials, bucket, network, image, Puppet release, platform, metastore, clock, quotas, ages, your permissions for
    each verb (simulated by IAM) and the programs of this machine. Nothing is changed. A warning stops nothing today;
    the exit code is 1 when a check failed.

    \b
    Examples:
      hcluster doctor
      hcluster doctor examples/flights.yaml --output json
    """
    from hcluster.flows import doctor as flows_doctor
    from hcluster.spec.load import load_cluster

    with flow(ctx, "checking") as context:
        spec = load_cluster(file, context.platform) if file else None
        findings = flows_doctor.doctor(context, spec, installed=shutil.which)
    render.emit(state_of(ctx), findings, render.findings_table(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
