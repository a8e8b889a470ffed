"""From a booted machine to a member of its cluster.

Identity from the metadata service, configuration and release from S3 (digests checked against the user-data), Puppet,
the spec's own scripts, the daemons' health, the smoke tests: each step leaves a mark, the end is a check-in.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hcluster.errors import HclusterError, NodeFailedError
from hcluster.model.told import CONVERGED, Told
from hcluster.model.user_data import UserData, is_builder
from hcluster.node import archives, builder, health, lifetime, machine, release
from hcluster.node.bucket import Bucket
from hcluster.node.config import hiera
from hcluster.node.imds import Identity, Imds
from hcluster.node.orders import told_by


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are on a node; tests move them."""

    etc: Path = Path("/etc/hcluster")
    base: Path = Path("/opt/hcluster")
    var: Path = Path("/var/lib/hcluster")
    log: Path = Path("/var/log/hcluster")
    ssh: Path = Path("/etc/ssh")
    console: Path = Path("/dev/console")


@dataclass
class Marks:
    """Epoch seconds of each step, and the step under way."""

    times: dict[str, float] = field(default_factory=dict)
    step: str = "start"

    def enter(self, step: str) -> None:
        """Note that a step begins."""
        self.step = step
        self.times[step] = time.time()
        print(f"hcluster: {step}", flush=True)


REPORTED = 3
"""Exit code after a failure that was reported. The unit starts again only what nobody has heard of."""
HEALTH_SECONDS = 300.0
PLATFORM_HEALTH_SECONDS = 1200.0
"""Of the platform's node: it may have a dump with many tables to load."""
SCRIPT_SECONDS = 1800.0


def host_keys(ssh: Path, deadline_seconds: float = 30) -> list[str]:
    """The machine's public SSH host keys, waiting while they are being made.

    Raises:
        NodeFailedError: there is none in time.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        keys = [" ".join(path.read_text().split()[:2]) for path in sorted(ssh.glob("ssh_host_*_key.pub"))]
        if keys and all(keys):
            return keys
        if time.monotonic() > end:
            raise NodeFailedError("this machine has no SSH host keys")
        time.sleep(0.1)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    fresh.rename(path)


def make_secret(path: Path) -> None:
    """A random password, made once and known to this machine alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write(path, secrets.token_urlsafe(24), 0o600)


def run_scripts(scripts: object, paths: Paths, environment: Mapping[str, str]) -> None:
    """Run the spec's bootstrap scripts in their order, each once in a machine's life.

    Raises:
        NodeFailedError: one failed or took too long; the context holds the end of its output.
    """
    for script in scripts if isinstance(scripts, list) else []:
        name = str(script["name"])
        done = paths.var / "scripts" / f"{name}.done"
        if done.exists():
            continue
        body = paths.var / "scripts" / name
        log = paths.log / f"script-{name}.log"
        write(body, str(script["script"]), 0o700)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            try:
                code = subprocess.run(
                    [str(body), *map(str, script.get("args", []))],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=os.environ | dict(environment),
                    timeout=SCRIPT_SECONDS,
                    check=False,
                ).returncode
            except OSError as cause:
                raise NodeFailedError(f"bootstrap script {name} cannot be run: {cause}") from cause
            except subprocess.TimeoutExpired as cause:
                raise NodeFailedError(
                    f"bootstrap script {name} took over {SCRIPT_SECONDS:.0f} s", context=release.tail(log)
                ) from cause
        if code != 0:
            raise NodeFailedError(f"bootstrap script {name} failed with exit code {code}", context=release.tail(log))
        write(done, f"{time.time()}\n")


def prepare(
    user_data: UserData, identity: Identity, bucket: Bucket, marks: Marks, paths: Paths
) -> Mapping[str, object]:
    """Fetch and verify, write the Hiera layer; returns the launch's configuration."""
    marks.enter("fetch")
    shared: Mapping[str, object] = json.loads(bucket.fetch(user_data.config_key, user_data.config_sha256))
    body = bucket.fetch(user_data.release_key, user_data.release_sha256)
    release.unpack(body, user_data.release_sha256, paths.base)
    values = hiera(user_data, identity, shared, memory_mib=machine.memory_mib(), vcpus=machine.vcpus())
    # JSON is YAML, and needs no library to be written.
    write(paths.etc / "node.yaml", json.dumps(values, indent=1, sort_keys=True) + "\n")
    write(paths.etc / "role", user_data.role + "\n")
    if user_data.role == "platform":
        make_secret(paths.etc / "secrets" / "metastore")
    return shared


def say(message: str, context: str, console: Path) -> None:
    """Tell a failure to the journal, and to the machine's console in one line: it is seen there without a login."""
    print(f"hcluster: {message}\n{context}".rstrip(), file=sys.stderr, flush=True)
    line = " ".join(f"hcluster: {message}: {context[-400:]}".split()).rstrip(":")
    # Not every machine has a console, and one that nobody drains must not hold us up.
    with contextlib.suppress(OSError):
        descriptor = os.open(console, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)


def explained(cause: Exception) -> tuple[str, str, str]:
    """Reference, message and context of any failure."""
    if isinstance(cause, HclusterError):
        return cause.reference, cause.message, cause.context
    return "bug", f"{type(cause).__name__}: {cause}", "".join(traceback.format_exception(cause))


def bootstrap(imds: Imds | None = None, paths: Paths | None = None) -> int:
    """Everything from boot to the ``ready`` check-in.

    Returns:
        0; ``REPORTED`` after a ``failed`` check-in; 1 when it failed and nobody could be told.
    """
    imds, paths = imds or Imds(), paths or Paths()
    marks = Marks()
    with contextlib.suppress(OSError, ValueError, IndexError):
        marks.times["boot"] = machine.booted_at()
    marks.enter("identity")
    try:
        identity = imds.identity()
        if is_builder(identity.user_data):
            return builder.let_in()
        user_data, _ = told_by(UserData.parse(identity.user_data), identity)
    except Exception as cause:  # noqa: BLE001 - the console is all that is left
        _, message, context = explained(cause)
        say(f"failed in step {marks.step}, nobody can be told: {message}", context, paths.console)
        return 1
    try:
        join(user_data, identity, marks, paths)
    except Exception as cause:  # noqa: BLE001 - whatever it is, the one who waits for this node must hear of it
        return report_failure(user_data, identity, marks, paths, cause)
    return 0


def join(user_data: UserData, identity: Identity, marks: Marks, paths: Paths) -> None:
    """All steps of a node that knows who it is."""
    # First of all: whatever fails later, the node ends when its time has come.
    marks.enter("lifetime")
    lifetime.arrange(lifetime.told(paths.var, user_data.expires_at))
    bucket = Bucket(user_data.bucket, user_data.region, user_data.s3_endpoint)

    def check_in(phase: str, **body: object) -> None:
        bucket.check_in(user_data.cluster, identity.instance, phase, {"launch": user_data.launch, **body})

    marks.enter("check-in")
    check_in("booted", host_keys=host_keys(paths.ssh), marks=marks.times)
    shared = prepare(user_data, identity, bucket, marks, paths)
    marks.enter("puppet")
    code = release.apply(paths.base / "release", user_data.role, paths.log / "puppet.log")
    marks.enter("scripts")
    environment = {"HCLUSTER_CLUSTER": user_data.cluster, "HCLUSTER_ROLE": user_data.role}
    run_scripts(shared.get("bootstrap"), paths, environment)
    check_in("configured", marks=marks.times, puppet_exit=code)
    report = serve(user_data.role, marks, paths)
    # What it was launched with, or what it was told since: what is told from now on differs from it.
    told = Told(user_data.config_sha256, user_data.release_sha256)
    write(paths.var / "told", identity.told + "\n")
    check_in(told.answer(CONVERGED, Told.again(identity.told)))
    marks.enter("ready")
    # A daemon without its archive serves as well; whoever wonders why it is late shall find it here.
    without = archives.unused([check.unit for check in health.load(paths.etc / "health.json")])
    check_in("ready", marks=marks.times, puppet_exit=code, archives=without, **report)


def serve(role: str, marks: Marks, paths: Paths) -> dict[str, object]:
    """Wait until this node serves as its role should; when its daemons began and served, what it joined, its tests.

    Raises:
        NodeFailedError, DeadlineError: it does not.
    """
    checks, joins = health.load(paths.etc / "health.json"), health.load_joins(paths.etc / "joins.json")
    if role == "platform":
        # Its tests ask its own daemons.
        marks.enter("health")
        found = health.wait(checks, PLATFORM_HEALTH_SECONDS)
        marks.enter("smoke")
        took = health.smoke(paths.etc / "smoke.d")
        return {"started": found.started, "daemons": found.up, "joined": {}, "smoke": took}
    # All others' tests ask the bucket and the platform: they run while daemons start and workers join.
    marks.enter("smoke")
    smoke = health.Smoke(paths.etc / "smoke.d", HEALTH_SECONDS)
    marks.enter("health")
    found = health.wait(checks, HEALTH_SECONDS, watch=smoke.watch)
    marks.enter("joining")
    joined = health.wait_joined(joins, HEALTH_SECONDS, watch=smoke.watch)
    marks.enter("smoke-rest")
    return {"started": found.started, "daemons": found.up, "joined": joined, "smoke": smoke.result()}


def report_failure(user_data: UserData, identity: Identity, marks: Marks, paths: Paths, cause: Exception) -> int:
    """Say it here, then check in as ``failed``; the exit code."""
    reference, message, context = explained(cause)
    say(f"failed in step {marks.step}: {message}", context, paths.console)
    body = {
        "launch": user_data.launch,
        "step": marks.step,
        "reference": reference,
        "message": message,
        "log_tail": context[-8000:],
        "marks": marks.times,
    }
    try:
        bucket = Bucket(user_data.bucket, user_data.region, user_data.s3_endpoint)
        bucket.check_in(user_data.cluster, identity.instance, "failed", body)
    except Exception as refusal:  # noqa: BLE001 - the console is all that is left
        _, message, context = explained(refusal)
        say(f"nobody can be told of the failure: {message}", context, paths.console)
        return 1
    return REPORTED


def expire(imds: Imds | None = None, paths: Paths | None = None) -> int:
    """The end of the lifetime: the master closes the launch's row in the registry, then the machine powers off."""
    paths = paths or Paths()
    code = 0
    try:
        identity = (imds or Imds()).identity()
        user_data = UserData.parse(identity.user_data)
        if user_data.role == "master":
            bucket = Bucket(user_data.bucket, user_data.region, user_data.s3_endpoint)
            bucket.close_row(user_data.cluster, user_data.launch, time.time())
    except Exception as cause:  # noqa: BLE001 - a row that is not right costs less than a machine that stays
        _, message, context = explained(cause)
        say(f"the end of this launch is not in the registry: {message}", context, paths.console)
        code = 1
    finally:
        # Whatever went wrong before: what nobody asked to keep must not go on to cost.
        subprocess.run(["systemctl", "poweroff"], check=False, timeout=60)
    return code
