"""The pinned Hadoop distribution: Maven resolves it, the lock verifies it, one archive carries it into the image.

Trees of the archive, below /opt/hadoop once Puppet unpacked it: ``lib/{hadoop,s3a,tez,hive,metastore}/*.jar``,
``examples/hadoop-mapreduce-examples.jar``, ``metastore-schema/*.sql`` (with the folders that schematool expects beside
them), ``webapps/``, ``CHECKSUMS`` (the lock) and ``VERSIONS``.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from hcluster.errors import HclusterError
from hcluster.images import archive, inputs, lockfile, process
from hcluster.model.events import Progress, Report, silent

FORMAT = 1
"""Raise it when the archive's layout changes, so that cached ones are not used any more."""

TREES = ("hadoop", "s3a", "tez", "hive", "metastore")
STEP = "distribution"
_DOWNLOADED = re.compile(r"Downloaded from \S+: \S+\.(?:jar|tar\.gz) ")
_SCHEMA = re.compile(r"/scripts/metastore/upgrade/mysql/([^/]+)$")
_POM = "{http://maven.apache.org/POM/4.0.0}"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Where a built distribution lies; ``key`` is the hash of its inputs."""

    archive: Path
    key: str
    built: bool
    """False: it was there already."""


def key_of(source: Path) -> str:
    """Hash of everything that decides the archive's content; ``source`` is ami/hadoop."""
    files = [path for path in inputs.files_below(source) if path.suffix != ".md"]
    return inputs.hash_of({"format": FORMAT}, {"": files}, source)


def build(source: Path, cache: Path, *, report: Report = silent, deadline: float = 900) -> Distribution:
    """Build the archive below ``cache``/dist, or find it there; ``cache``/dist/current leads to the latest.

    Args:
        source: the folder ami/hadoop.
        cache: the folder of things that can be built again.
        report: where progress goes.
        deadline: seconds that Maven may take.

    Raises:
        IntegrityError: Maven delivered other bytes than the lock says; nothing is left in the cache.
        HclusterError, DeadlineError: Maven or zstd is missing or failed.
    """
    key = key_of(source)
    target = cache / "dist" / key[:16] / "dist.tar.zst"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (cache / "dist" / ".lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(Progress(STEP, "waiting for another build of the distribution"))
            fcntl.flock(guard, fcntl.LOCK_EX)  # the other one has its own deadline
        built = not target.exists()
        if built:
            lock = source / "checksums.txt"
            locked = lockfile.read(lock)
            if not locked:
                message = f"{lock} is missing"
                raise HclusterError(message, hint="hcluster ami lock", reference="digest-mismatch")
            with tempfile.TemporaryDirectory(dir=cache / "dist", prefix=".building-") as scratch:
                trees = Path(scratch) / "trees"
                _resolve(source, trees, cache, report, deadline, expected=len(locked))
                report(Progress(STEP, "verifying the checksums of the Hadoop distribution"))
                lockfile.verify(lockfile.scan(trees), locked)
                _pack(source, trees, Path(scratch) / "dist.tar.zst", report)
                (Path(scratch) / "dist.tar.zst").replace(target)
        target.parent.touch()  # used now: see prune
        _point(cache / "dist" / "current", target.parent.name)
    size = target.stat().st_size / 1e6
    said = "built" if built else "unchanged"
    report(Progress(STEP, f"Hadoop distribution {key[:12]}: {size:.0f} MB, {said}", state="ok"))
    return Distribution(target, key, built)


def renew_lock(source: Path, cache: Path, *, report: Report = silent, deadline: float = 900) -> tuple[int, int]:
    """Write the lock anew from what Maven delivers now; (files in it, lines that changed)."""
    lock = source / "checksums.txt"
    before = lockfile.read(lock)
    (cache / "dist").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache / "dist", prefix=".building-") as scratch:
        trees = Path(scratch) / "trees"
        _resolve(source, trees, cache, report, deadline, expected=len(before))
        found = lockfile.scan(trees)
    lock.write_text(lockfile.render(found))
    report(Progress(STEP, f"{len(found)} checksums written", state="ok"))
    return len(found), len(set(found.items()) ^ set(before.items()))


def _resolve(source: Path, trees: Path, cache: Path, report: Report, deadline: float, *, expected: int) -> None:
    """One Maven run for all trees; modules in parallel, since most of the time is spent waiting for downloads."""
    seen = 0

    def on_line(line: str) -> None:
        nonlocal seen
        if _DOWNLOADED.search(line) or "] Copying " in line:
            seen += "] Copying " in line
            report(Progress(STEP, text, min(seen, expected), expected))

    text = "Maven fetches the Hadoop distribution"
    report(Progress(STEP, text, 0, expected))
    log = cache / "logs" / "maven.log"
    command = [
        "mvn",
        "--batch-mode",
        "--threads",
        "4",
        "--file",
        str(source / "pom.xml"),
        f"-Doutput={trees}",
        "dependency:copy-dependencies",
    ]
    code = process.run(command, log=log, deadline=deadline, on_line=on_line)
    if code:
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[ERROR]")]
        message = f"Maven ended with code {code} while it resolved {source}"
        raise HclusterError(
            message, context="\n".join(errors[:10]), hint=f"its whole output is in {log}", reference="maven-failed"
        )


def _pack(source: Path, trees: Path, target: Path, report: Report) -> None:
    """Lay out the archive; a jar that an earlier tree has too becomes a symbolic link to it."""
    entries: list[tuple[str, Path | str | bytes]] = []
    first: dict[tuple[str, int], tuple[str, Path]] = {}
    for tree in TREES:
        for jar in sorted((trees / tree).iterdir()):
            known = first.setdefault((jar.name, jar.stat().st_size), (tree, jar))
            same = known[1] is not jar and lockfile.digest_of(known[1]) == lockfile.digest_of(jar)
            entries.append((f"lib/{tree}/{jar.name}", f"../{known[0]}/{jar.name}" if same else jar))
    entries += [("examples/hadoop-mapreduce-examples.jar", jar) for jar in (trees / "examples").iterdir()]
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        entries += _schema(next((trees / "schema").iterdir()), Path(scratch))
        webapps = source / "webapps"
        entries += [(f"webapps/{path.relative_to(webapps).as_posix()}", path) for path in inputs.files_below(webapps)]
        entries += [("CHECKSUMS", _shipped(trees).encode()), ("VERSIONS", versions(source).encode())]
        archive.write(
            target,
            entries,
            on_entry=lambda number: report(Progress(STEP, "packing the distribution", number, len(entries))),
        )


def _shipped(trees: Path) -> str:
    """The lock as the image can check it: paths below /opt/hadoop."""
    return lockfile.render(
        {f"lib/{name}": digest for name, digest in lockfile.scan(trees).items() if name.split("/")[0] in TREES}
    )


def _schema(distribution: Path, scratch: Path) -> list[tuple[str, Path | str | bytes]]:
    """The metastore's SQL for MySQL and MariaDB, and a link that makes ``metastore-schema`` a METASTORE_HOME."""
    entries: list[tuple[str, Path | str | bytes]] = []
    with tarfile.open(distribution) as tar:
        for member in tar:
            if found := _SCHEMA.search(member.name):
                content = tar.extractfile(member)
                if content is not None:
                    with (scratch / found[1]).open("wb") as sink:
                        shutil.copyfileobj(content, sink)
                    entries.append((f"metastore-schema/{found[1]}", scratch / found[1]))
    return [*sorted(entries), ("metastore-schema/scripts/metastore/upgrade/mysql", "../../..")]


def properties(source: Path) -> dict[str, str]:
    """The pinned versions by their names, such as ``hadoop.version``."""
    parent = ET.parse(source / "pom.xml").getroot()  # noqa: S314 - our own file
    return {item.tag.removeprefix(_POM): item.text or "" for item in parent.iterfind(f"{_POM}properties/*")}


def versions(source: Path) -> str:
    """The text of VERSIONS: one line a coordinate that a tree asks for."""
    parent = ET.parse(source / "pom.xml").getroot()  # noqa: S314 - our own file
    pinned = properties(source)
    lines = []
    for module in parent.iterfind(f"{_POM}modules/{_POM}module"):
        root = ET.parse(source / str(module.text) / "pom.xml").getroot()  # noqa: S314 - our own file
        for dependency in root.iterfind(f"{_POM}dependencies/{_POM}dependency"):
            group, name, version = (
                dependency.findtext(f"{_POM}{tag}", "") for tag in ("groupId", "artifactId", "version")
            )
            lines.append(f"{module.text} {group}:{name}:{pinned.get(version.strip('${}'), version)}")
    return "\n".join(sorted(lines)) + "\n"


def _point(link: Path, target: str) -> None:
    """Make ``link`` a symbolic link to ``target`` in one step."""
    fresh = link.with_name(f".{link.name}-new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
