"""Jars of a layer, each compared with its digest before anything else looks at it; kept by digest."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from hcluster.errors import HclusterError, IntegrityError
from hcluster.images import process
from hcluster.images.sources import Recipe
from hcluster.model.events import Progress, Report, silent
from hcluster.spec.image import JarSpec

Fetch = Callable[[str], Iterator[bytes]]
"""The body of an object of the platform's bucket, by key."""
STEP = "jars"
_PLUGIN = "3.6.1"
_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>hcluster</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
    <version>{plugin}</version>
    <configuration><outputDirectory>{output}</outputDirectory><artifactItems>
{items}
    </artifactItems></configuration>
  </plugin></plugins></build>
</project>
"""


def fetch(recipe: Recipe, cache: Path, from_bucket: Fetch, *, report: Report = silent) -> Mapping[str, Path]:
    """Every jar of a layer by file name, from ``cache``/jars where it was had before.

    Raises:
        IntegrityError: a jar is not the one that the YAML means; nothing of it is kept.
        NotFoundError: the bucket has no such object.
        HclusterError, DeadlineError: Maven is missing or failed, such as for unknown coordinates.
    """
    found = {jar.filename: _kept(cache, jar) for jar in recipe.spec.jars}
    missing = [jar for jar in recipe.spec.jars if not found[jar.filename].is_file()]
    if missing:
        report(Progress(STEP, f"{recipe.spec.name}: fetching {', '.join(jar.filename for jar in missing)}"))
        (cache / "jars").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache / "jars", prefix=".fetching-") as folder:
            scratch = Path(folder)
            _resolve(recipe, [jar for jar in missing if jar.maven], scratch, cache / "logs")
            for jar in missing:
                fresh = scratch / jar.filename
                if jar.file:
                    shutil.copyfile(recipe.folder / jar.file, fresh)
                elif jar.s3:
                    with fresh.open("wb") as sink:
                        sink.writelines(from_bucket(jar.s3))
                _verify(recipe, jar, fresh)
                found[jar.filename].parent.mkdir(exist_ok=True)
                fresh.replace(found[jar.filename])
    for path in found.values():
        path.parent.touch()  # used now: see prune
    return found


def _kept(cache: Path, jar: JarSpec) -> Path:
    return cache / "jars" / jar.expected[:32] / jar.filename


def _verify(recipe: Recipe, jar: JarSpec, path: Path) -> None:
    kind = "sha256" if jar.sha256 else "sha512"
    with path.open("rb") as source:
        found = hashlib.file_digest(source, kind).hexdigest()
    if found != jar.expected:
        raise IntegrityError(
            f"{jar.place} is not the jar that {recipe.spec.name}.yaml means",
            context=f"{kind} there:       {found}\n{kind} in the YAML: {jar.expected}",
            hint="find out which is right before you correct the digest in the YAML; otherwise do not bake",
        )


def _resolve(recipe: Recipe, wanted: Sequence[JarSpec], output: Path, logs: Path) -> None:
    """One Maven run, so that its settings and mirrors are those of all other builds."""
    if not wanted:
        return
    pom = output / "pom.xml"
    pom.write_text(_POM.format(plugin=_PLUGIN, output=escape(str(output)), items="\n".join(map(_item, wanted))))
    log = logs / f"jars-{recipe.spec.name}.log"
    code = process.run(["mvn", "--batch-mode", "--file", str(pom), "dependency:copy"], log=log, deadline=300)
    if code:
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[ERROR] Failed")]
        raise HclusterError(
            f"Maven could not fetch the jars of image {recipe.spec.name}",
            context="\n".join(errors),
            hint=f"correct `maven` in {recipe.folder / recipe.spec.name}.yaml; its whole output is in {log}",
            reference="maven-failed",
        )


def _item(jar: JarSpec) -> str:
    group, artifact, version, *classifier = (jar.maven or "").split(":")
    parts = {"groupId": group, "artifactId": artifact, "version": version, "destFileName": jar.filename}
    parts |= {"classifier": classifier[0]} if classifier else {}
    text = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in parts.items())
    return f"      <artifactItem>{text}</artifactItem>"
