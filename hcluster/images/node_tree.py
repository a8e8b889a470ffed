"""What of hcluster lives on a node: its own node code and the few packages that this imports, in one archive.

Unpacked by Puppet to /opt/hcluster/lib. Versions and digests are those of ``uv.lock``, so that a node runs the very
packages that the tests ran with.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hcluster.errors import HclusterError
from hcluster.images import archive, inputs, process
from hcluster.model.events import Progress, Report, silent

FORMAT = 1
ROOTS = ("boto3", "pymetastore", "pyyaml", "thrift")
"""What hcluster.node imports; everything else follows from the lock."""
SERVICES = ("ec2", "s3", "sts")
"""Services whose descriptions botocore keeps; all of them would be 25 MB of JSON."""
PYTHON = "3.11"
"""Of the image, Debian 12."""
STEP = "node tree"
_OWN = ("__init__.py", "errors.py", "model", "node")


def own_files(package: Path) -> list[Path]:
    """The files of hcluster itself that a node has; ``package`` is the folder hcluster/."""
    parts = (package / name for name in _OWN)
    return [path for part in parts for path in ([part] if part.is_file() else inputs.files_below(part))]


def requirements(lock: Path) -> str:
    """The pinned packages of a node in the form that pip and uv read, with every digest of the lock.

    Raises:
        HclusterError: the lock lacks one of them.
    """
    packages: Mapping[str, Any] = {item["name"]: item for item in tomllib.loads(lock.read_text())["package"]}
    wanted: set[str] = set()
    pending = list(ROOTS)
    while pending:
        name = pending.pop()
        if name in wanted:
            continue
        if name not in packages:
            message = f"{lock} has no package {name}"
            raise HclusterError(message, hint="uv lock")
        wanted.add(name)
        pending += [dependency["name"] for dependency in packages[name].get("dependencies", ())]
    return "".join(_requirement(packages[name]) for name in sorted(wanted))


def _requirement(package: Mapping[str, Any]) -> str:
    """One package with the digests of all its files."""
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    digests = "".join(f" \\\n    --hash={file['hash']}" for file in files)
    return f"{package['name']}=={package['version']}{digests}\n"


def key_of(package: Path, lock: Path) -> str:
    """Hash of everything that decides the archive's content."""
    values = {"format": FORMAT, "python": PYTHON, "services": SERVICES, "requirements": requirements(lock)}
    return inputs.hash_of(values, {"own": own_files(package)}, package)


def build(package: Path, lock: Path, cache: Path, *, report: Report = silent, deadline: float = 300) -> Path:
    """Build the archive below ``cache``/node, or find it there.

    Args:
        package: the folder hcluster/.
        lock: uv.lock.
        cache: the folder of things that can be built again.
        report: where progress goes.
        deadline: seconds that the installation may take.

    Raises:
        HclusterError, DeadlineError: uv is missing or failed; the context has its last lines.
    """
    key = key_of(package, lock)
    target = cache / "node" / key[:16] / "node.tar.zst"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (cache / "node" / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache / "node", prefix=".building-") as scratch:
                tree = Path(scratch) / "tree"
                _install(requirements(lock), tree, Path(scratch), cache / "logs" / "node-tree.log", report, deadline)
                trim(tree)
                report(Progress(STEP, "packing the node's program"))
                archive.write(Path(scratch) / "node.tar.zst", _entries(package, tree))
                (Path(scratch) / "node.tar.zst").replace(target)
    target.parent.touch()  # used now: see prune
    report(Progress(STEP, f"node's program {key[:12]}: {target.stat().st_size / 1e6:.1f} MB", state="ok"))
    return target


def uv_program() -> str:
    """Uv beside this Python, else from PATH.

    Raises:
        HclusterError: there is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        message = "uv is not installed"
        raise HclusterError(message, hint="make setup", reference="program-missing")
    return found


def _install(text: str, tree: Path, scratch: Path, log: Path, report: Report, deadline: float) -> None:
    report(Progress(STEP, "installing the Python packages of the node's program"))
    listing = scratch / "requirements.txt"
    listing.write_text(text)
    command = [uv_program(), "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes"]
    command += ["--python", sys.executable, "--python-version", PYTHON]
    command += ["--target", str(tree), "--requirements", str(listing)]
    code = process.run(command, log=log, deadline=deadline)
    if code:
        message = f"uv ended with code {code} while it installed the packages of a node"
        raise HclusterError(message, context=process.tail(log), hint=f"its whole output is in {log}")


def trim(tree: Path) -> None:
    """Remove what no node needs: other services' descriptions, scripts, tests, byte code."""
    for data in (tree / "botocore" / "data", tree / "boto3" / "data"):
        for service in data.iterdir() if data.is_dir() else ():
            if service.is_dir() and service.name not in SERVICES:
                shutil.rmtree(service)
    for name in ("bin", "boto3/examples"):
        shutil.rmtree(tree / name, ignore_errors=True)


def _entries(package: Path, tree: Path) -> list[tuple[str, Path | str | bytes]]:
    own: Iterable[tuple[str, Path]] = (
        (f"hcluster/{path.relative_to(package).as_posix()}", path) for path in own_files(package)
    )
    others = ((path.relative_to(tree).as_posix(), path) for path in inputs.files_below(tree))
    return [*own, *(entry for entry in others if not entry[0].startswith("."))]
