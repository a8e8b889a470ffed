"""Python packages of a layer: resolved and pinned once, installed by uv into the tree of a virtual environment.

All of it happens here and not on the machine that is baked: wheels for the image's Python, never built, each compared
with the digests of NAME.lock. The machine needs no way to a package index.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path

from hcluster.errors import HclusterError, IntegrityError
from hcluster.images import archive, process
from hcluster.images.node_tree import PYTHON, uv_program
from hcluster.images.sources import Recipe
from hcluster.model.events import Progress, Report, silent
from hcluster.spec.image import hashes, project, without_hashes

PLATFORM = "x86_64-manylinux_2_36"
"""Of the image, Debian 12: what its C library can run."""
HOME = "/opt/hcluster/python"
"""NAME below it is the environment of image NAME."""
STEP = "python packages"
_COMMON = (
    *("--quiet", "--no-config", "--only-binary", ":all:"),
    *("--python-version", PYTHON, "--python-platform", PLATFORM),
)
_HEAD = re.compile(r"# requirements ([0-9a-f]{64})\n")
_SHEBANG = re.compile(rb"#!.*python[0-9.]*$")


def pinned(recipe: Recipe, logs: Path, *, report: Report = silent, deadline: float = 300) -> str:
    """The pinned packages of a layer in the form that pip and uv read, with digests; "" for none.

    They are read from NAME.lock beside the YAML. When there is none, or the YAML asks for other packages since, they
    are resolved and the lock is written; versions that still fit stay as they are.

    Raises:
        IntegrityError: a digest in the YAML is none that the index has.
        HclusterError, DeadlineError: uv is missing or failed, such as for an unknown package; or the lock cannot be
            written.
    """
    wanted = recipe.spec.python
    if not wanted:
        return ""
    digest = hashlib.sha256("\n".join([PYTHON, PLATFORM, *sorted(wanted)]).encode()).hexdigest()
    before = recipe.lock.read_text() if recipe.lock.is_file() else ""
    head = _HEAD.search(before)
    if head and head[1] == digest:
        return before
    report(Progress(STEP, f"{recipe.spec.name}: pinning {len(wanted)} Python packages and what they need"))
    with tempfile.TemporaryDirectory(prefix="hcluster-python-") as scratch:
        asked, answer = Path(scratch) / "requirements.in", Path(scratch) / "requirements.txt"
        asked.write_text("".join(f"{without_hashes(one)}\n" for one in wanted))
        answer.write_text(before)  # uv keeps versions that fit
        command = [uv_program(), "pip", "compile", *_COMMON, "--generate-hashes", "--no-header", "--no-annotate"]
        _run([*command, "--output-file", str(answer), str(asked)], recipe, logs, deadline)
        text = _narrowed(answer.read_text(), recipe)
    told = (
        f"# Written by `hcluster ami bake` for {recipe.spec.name}.yaml; keep it beside that in version control.\n"
        f"# requirements {digest}\n"
    )
    try:
        fresh = recipe.lock.with_name(f".{recipe.lock.name}.new")
        fresh.write_text(told + text)
        fresh.replace(recipe.lock)
    except OSError as cause:
        raise HclusterError(
            f"{recipe.lock} cannot be written: {cause.strerror}",
            hint="copy the YAML to a folder of yours: --images DIR",
        ) from cause
    report(Progress(STEP, f"pinned in {recipe.lock}; keep it beside the YAML", state="ok"))
    return told + text


def _narrowed(text: str, recipe: Recipe) -> str:
    """The lock with no other digests of a package than the YAML names, where it names some."""
    given = {project(one): set(hashes(one)) for one in recipe.spec.python if hashes(one)}
    blocks = re.split(r"\n(?=[^\s#])", text.rstrip("\n"))
    for index, block in enumerate(blocks):
        wanted = given.get(project(block))
        if not wanted:
            continue
        found = re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)
        kept = [one for one in found if one in wanted]
        first = block.split(" \\\n", 1)[0]
        if not kept:
            raise IntegrityError(
                f"{first}: no digest in {recipe.spec.name}.yaml is one that the package index has",
                context="\n".join([f"in the YAML: {', '.join(sorted(wanted))}", *(f"index: {one}" for one in found)]),
                hint="find out which is right before you correct the digest in the YAML",
            )
        blocks[index] = first + "".join(f" \\\n    --hash={one}" for one in kept)
    return "\n".join(blocks) + "\n"


def build(recipe: Recipe, requirements: str, target: Path, logs: Path, *, report: Report = silent) -> None:
    """Write the environment of a layer to ``target`` (tar.zst); ``requirements`` are the pinned packages.

    Raises:
        HclusterError, DeadlineError: uv failed, such as for a digest that differs.
    """
    report(Progress(STEP, f"{recipe.spec.name}: installing the Python packages"))
    with tempfile.TemporaryDirectory(prefix="hcluster-python-") as scratch:
        listing, tree = Path(scratch) / "requirements.txt", Path(scratch) / "tree"
        listing.write_text(requirements)
        command = [uv_program(), "pip", "install", *_COMMON, "--no-deps", "--require-hashes"]
        command += ["--python", sys.executable, "--target", str(tree), "--requirements", str(listing)]
        _run(command, recipe, logs, 600)
        archive.write(target, _entries(tree, f"{HOME}/{recipe.spec.name}"))


def _entries(tree: Path, home: str) -> list[tuple[str, Path | str | bytes]]:
    """A virtual environment around installed packages; programs are told which Python they run on."""
    about = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n"
    entries: list[tuple[str, Path | str | bytes]] = [
        ("pyvenv.cfg", about.encode()),
        ("bin/python3", f"/usr/bin/python{PYTHON}"),
        ("bin/python", "python3"),
    ]
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        name = path.relative_to(tree).as_posix()
        if name == ".lock":
            continue  # uv's own
        if name.startswith("bin/"):
            first, _, rest = path.read_bytes().partition(b"\n")
            if _SHEBANG.match(first):
                path.write_bytes(f"#!{home}/bin/python3\n".encode() + rest)
            entries.append((name, path))
        else:
            entries.append((f"lib/python{PYTHON}/site-packages/{name}", path))
    return entries


def _run(command: list[str], recipe: Recipe, logs: Path, deadline: float) -> None:
    log = logs / f"python-{recipe.spec.name}.log"
    code = process.run(command, log=log, deadline=deadline)
    if code:
        raise HclusterError(
            f"the Python packages of image {recipe.spec.name} could not be had",
            context=process.tail(log),
            hint=f"correct `python` in {recipe.folder / recipe.spec.name}.yaml: only wheels for Python {PYTHON} on "
            f"Linux are used, and digests must fit; the whole output is in {log}",
        )
