"""A Puppet release on the node's disk: unpacked once, applied often."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from hcluster.errors import IntegrityError, NodeFailedError
from hcluster.node import facts

OK_EXITS = (0, 2)
"""Of ``puppet apply --detailed-exitcodes``: nothing to change, changes made."""

RUBY_CACHE = Path("/usr/local/lib/hcluster/ruby-cache.rb")
"""Lets Ruby load what the image holds compiled; an image without it runs Puppet as it is."""
TAIL_LINES = 40
_NODE = "node"
"""The name that Puppet knows each machine by."""
_NOT_COMPILED = 1


def unpack(body: bytes, digest: str, base: Path) -> Path:
    """Unpack a release below ``base/releases`` and point ``base/release`` to it; the same digest again is a no-op.

    Raises:
        IntegrityError: it is no archive, or has members outside its folder.
    """
    target = base / "releases" / digest
    if not target.is_dir():
        staging = target.with_name(f".{digest}.{os.getpid()}")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        # GNU tar refuses members that would leave the folder; Debian 12's tarfile has no filters yet.
        command = ["tar", "--extract", "--gzip", "--no-same-owner", "--directory", str(staging)]
        done = subprocess.run(command, input=body, capture_output=True, check=False, timeout=120)
        if done.returncode != 0:
            shutil.rmtree(staging, ignore_errors=True)
            raise IntegrityError("the Puppet release cannot be unpacked", context=done.stderr.decode(errors="replace"))
        staging.rename(target)
    link = base / "release"
    fresh = base / f".release.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)
    return target


def apply_command(release: Path, known: Path | None = None) -> list[str]:
    """The one way in which a release is applied; ``known`` is where the facts are, None lets Facter find them out.

    A name that is not among them is an error then, so that no manifest takes it for undefined.
    """
    given = ["--certname", _NODE, "--facts_terminus", "json", "--client_datadir", str(known), "--strict_variables"]
    return [
        "puppet",
        "apply",
        "--detailed-exitcodes",
        "--color=false",
        *(given if known else []),
        "--modulepath",
        f"{release}/site-modules:{release}/modules",
        "--hiera_config",
        f"{release}/hiera.yaml",
        f"{release}/manifests/site.pp",
    ]


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a file, "" when there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def apply(release: Path, role: str, log: Path, deadline_seconds: float = 600) -> int:
    """Run Puppet once; its exit code (0 or 2).

    Raises:
        NodeFailedError: Puppet failed or took too long; the context holds the end of its log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"FACTER_hcluster_role": role, "LC_ALL": "C.UTF-8", "HOME": "/root"}
    if RUBY_CACHE.exists():
        # Puppet needs no gems that its package does not bring, and nobody reads Ruby's suggestions.
        environment["RUBYOPT"] = f"--disable=gems,did_you_mean,error_highlight -r{RUBY_CACHE}"
    known = None
    if facts.enough(release):
        known = release.parent / "puppet"
        facts.write(known, role, _NODE)
    code = _run(apply_command(release, known), environment, log, deadline_seconds)
    if known and code == _NOT_COMPILED:
        # Nothing was changed by it. Perhaps it asks for another fact in a way that was not seen.
        code = _run(apply_command(release), environment, log, deadline_seconds)
    if code not in OK_EXITS:
        raise NodeFailedError(f"puppet apply failed with exit code {code}", context=tail(log))
    return code


def _run(command: list[str], environment: dict[str, str], log: Path, deadline_seconds: float) -> int:
    with log.open("wb") as out:
        try:
            return subprocess.run(
                command,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=deadline_seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as cause:
            raise NodeFailedError(f"puppet apply took over {deadline_seconds:.0f} s", context=tail(log)) from cause
