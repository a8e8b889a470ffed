"""The facts that Puppet gets: those that the release uses, without Facter, which takes as long as the rest of a run.

A release that may use others, as one with a module of somebody else, gets all of Facter's.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

NAMES = frozenset({"hcluster_role", "os.architecture"})
"""What needs no Facter."""
LAYER = Path("/etc/hcluster/node.yaml")
"""What puppet/hiera.yaml reads beside the release: with the settings of a spec, whose values may name facts, too."""
_CODE = ("*.pp", "*.epp")
_RUBY = ("lib/**/*.rb", "**/*.erb", "facts.d/*")
"""Within a module: functions, types, facts and templates that could ask for anything."""
_FACTS = re.compile(r"""\$(?:\{\s*)?(?:::)?(?:facts|trusted|server_facts)\b((?:\[\s*['"]\w+['"]\s*\])*)(?=(\W?))""")
_SUBSCRIPT = re.compile(r"\w+")
_DATA = ("*.yaml", "*.yml", "*.json")
# ERB has facts as variables, Hiera's mapped paths name one without braces.
_ASKED_OTHERWISE = re.compile(r"\b(?:(?:getvar|fact|inline_template)\s*\(|mapped_paths\b)")
_INTERPOLATED = re.compile(r"%\{\s*([^}]*?)\s*\}")
_LOOKUP = re.compile(r"(?:lookup|alias|literal)\(.*\)")
# Debian's names of the processors.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def in_code(text: str) -> Iterable[str]:
    """The facts that a manifest or a template uses, as ``os.architecture``; "" for what cannot be told. Pure."""
    for found in _FACTS.finditer(text):
        # Of what is looked up in another way, or by a name that is computed, anything may be meant.
        yield "" if found[2] in ("[", ".") else ".".join(_SUBSCRIPT.findall(found[1]))
    if _ASKED_OTHERWISE.search(text):
        yield ""


def in_data(text: str) -> Iterable[str]:
    """The same of a file of Hiera. Pure."""
    for found in _INTERPOLATED.finditer(text):
        if not _LOOKUP.fullmatch(found[1]):
            yield found[1].removeprefix("::").removeprefix("facts.") if "facts." in found[1] else ""
    if _ASKED_OTHERWISE.search(text):
        yield ""


def enough(release: Path) -> bool:
    """Whether a release, and what is read beside it, uses no other facts than ``NAMES``."""
    modules = [path for folder in ("modules", "site-modules") for path in (release / folder).glob("*")]
    if any(True for module in modules for pattern in _RUBY for _ in module.glob(pattern)):
        return False
    code = [path.read_text(errors="replace") for pattern in _CODE for path in release.rglob(pattern)]
    layers = [path for pattern in _DATA for path in release.rglob(pattern)] + [LAYER] * LAYER.exists()
    data = [path.read_text(errors="replace") for path in layers]
    used = {name for text in code for name in in_code(text)} | {name for text in data for name in in_data(text)}
    return used <= NAMES


def values(role: str, machine: str = "") -> Mapping[str, object]:
    """The facts of ``NAMES``; ``machine`` is the processor's name for the kernel."""
    known = machine or platform.machine()
    return {"hcluster_role": role, "os": {"architecture": _ARCHITECTURES.get(known, known)}}


def write(folder: Path, role: str, node: str) -> None:
    """Put them where Puppet's terminus ``json`` finds them for ``node``, with ``folder`` as its ``client_datadir``."""
    path = folder / "facts" / f"{node}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": node, "values": values(role)}))
