"""Refuse Puppet code that no node could apply, before it is published; every finding at once."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from hcluster.errors import DeadlineError, HclusterError
from hcluster.releases.pack import files_of

DEADLINE_SECONDS = 120


def validate(folder: Path) -> int:
    """Check the syntax of every manifest, template and data file; how many were checked.

    Raises:
        HclusterError: some are wrong (the context has one line a finding), or Puppet is not installed.
        DeadlineError: Puppet did not end.
    """
    files = files_of(folder)
    by_suffix = {suffix: [path for path in files if path.suffix == suffix] for suffix in (".pp", ".epp", ".yaml")}
    # Each call costs Ruby's start, so there is one for all files of a kind, side by side.
    with ThreadPoolExecutor(max_workers=2) as pool:
        manifests = pool.submit(_puppet, ("parser", "validate"), by_suffix[".pp"])
        templates = pool.submit(_puppet, ("epp", "validate"), by_suffix[".epp"])
        findings = _yaml(by_suffix[".yaml"])
        findings += manifests.result() + templates.result()
    if findings:
        raise HclusterError(
            f"{folder} is not valid Puppet code: {len(findings)} findings",
            context="\n".join(finding.replace(f"{folder}/", "") for finding in findings),
            hint="correct them; nothing was published",
            reference="puppet-invalid",
        )
    return sum(len(paths) for paths in by_suffix.values())


def _yaml(paths: Sequence[Path]) -> list[str]:
    findings = []
    for path in paths:
        try:
            yaml.safe_load(path.read_bytes())
        except yaml.YAMLError as cause:
            findings.append(f"{path}: {' '.join(str(cause).split())}")
    return findings


def _puppet(words: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """The errors that ``puppet WORDS`` finds."""
    if not paths:
        return []
    command = ["puppet", *words, "--color=false", *map(str, paths)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)
    except FileNotFoundError as cause:
        raise HclusterError(
            "puppet is not installed, so its code cannot be validated",
            hint="apt-get install puppet-agent (`make setup` does)",
            reference="program-missing",
        ) from cause
    except subprocess.TimeoutExpired as cause:
        raise DeadlineError(f"puppet {' '.join(words)} took longer than {DEADLINE_SECONDS} s") from cause
    if done.returncode == 0:
        return []
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
    summaries = ("Error: Try 'puppet help", "Error: Errors while validating")
    errors = [line for line in lines if line.startswith("Error:") and not line.startswith(summaries)]
    return errors or lines or [f"puppet {' '.join(words)} ended with code {done.returncode}"]
