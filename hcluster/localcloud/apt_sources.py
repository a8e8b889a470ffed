"""Which package hosts this machine is configured for: apt, and pip and Maven where they name an index of their own."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_ONE_LINE = re.compile(
    r"^(deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$"
)


@dataclass(frozen=True, slots=True)
class AptSource:
    """One archive of binary packages: a URI, one suite of it, its components and the key ring that signs it."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    @property
    def host(self) -> str:
        """Host name of the URI."""
        return urlsplit(self.uri).hostname or ""

    def line(self) -> str:
        """The source in apt's one-line format."""
        option = f" [signed-by={self.signed_by}]" if self.signed_by else ""
        return " ".join(("deb" + option, self.uri, self.suite, *self.components))


def parse_one_line(text: str) -> list[AptSource]:
    """Sources of a ``sources.list`` (sources.list(5), one-line style); deb-src lines are left out."""
    found = []
    for raw in text.splitlines():
        match = _ONE_LINE.match(raw.split("#", 1)[0].strip())
        if match is None or match[1] != "deb":
            continue
        options = dict(item.split("=", 1) for item in (match["options"] or "").split() if "=" in item)
        found.append(
            AptSource(match["uri"], match["suite"], tuple(match["components"].split()), options.get("signed-by", ""))
        )
    return found


def parse_deb822(text: str) -> list[AptSource]:
    """Sources of a ``*.sources`` file (sources.list(5), deb822 style); disabled ones and deb-src are left out."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        signed_by = fields.get("signed-by", "").strip()
        # A key written into the file itself has no path to hand on.
        ring = signed_by if signed_by.startswith("/") else ""
        found += [
            AptSource(uri, suite, tuple(fields.get("components", "").split()), ring)
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        ]
    return found


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields[key] = fields.get(key, "") + "\n" + line.strip()
        elif ":" in line:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            fields[key] = value.strip()
    return fields


def read_sources(folder: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """All binary sources below ``folder``, in apt's own order, each once."""
    found: list[AptSource] = []
    listed = folder / "sources.list"
    if listed.is_file():
        found += parse_one_line(listed.read_text())
    for path in sorted((folder / "sources.list.d").glob("*")):
        if path.suffix == ".list":
            found += parse_one_line(path.read_text())
        elif path.suffix == ".sources":
            found += parse_deb822(path.read_text())
    return tuple(dict.fromkeys(found))


def package_hosts(
    sources: Iterable[AptSource], *, pip_files: Iterable[Path] = (), maven_files: Iterable[Path] = ()
) -> frozenset[str]:
    """Lower-case host names that the package managers of this machine are set up to install from."""
    hosts = {source.host for source in sources}
    for path in pip_files:
        hosts |= _pip_hosts(path)
    for path in maven_files:
        if path.is_file():
            hosts |= {
                urlsplit(url).hostname or "" for url in re.findall(r"<url>\s*(https?://[^<\s]+)", path.read_text())
            }
    return frozenset(host.lower() for host in hosts if host)


def _pip_hosts(path: Path) -> set[str]:
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(path)
    except configparser.Error:
        return set()
    urls = [
        url
        for section in settings.sections()
        for key in ("index-url", "extra-index-url")
        for url in settings.get(section, key, fallback="").split()
    ]
    return {urlsplit(url).hostname or "" for url in urls}
