"""Reading an image's YAML, with all findings at once."""

from __future__ import annotations

from pathlib import Path

from hcluster.errors import SpecError
from hcluster.spec.image import ImageSpec
from hcluster.spec.load import _shown, _validated
from hcluster.spec.yamlfile import Found, dotted, read


def load_image(path: Path) -> ImageSpec:
    """Read and check ``NAME.yaml``; files that it names must lie beside it.

    Raises:
        SpecError: with everything that is wrong.
    """
    document = read(path, _shown(path))
    found = list(document.found)
    spec, wrong = _validated(ImageSpec, document)
    found += wrong
    name = document.value.get("name")
    if isinstance(name, str) and name != path.stem:
        found.append(Found(*document.place(("name",)), "name", f"is {name!r}, but the file is called {path.name}"))
    for part, key in (("jars", "file"), ("files", "source")):
        entries = document.value.get(part)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            given = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(given, str) and not (path.parent / given).is_file():
                place = (part, index, key)
                found.append(Found(*document.place(place), dotted(place), f"{path.parent / given} is no file"))
    if found or spec is None:
        findings = sorted(dict.fromkeys(found), key=lambda one: one.line)
        number = f"{len(findings)} findings" if len(findings) > 1 else "1 finding"
        raise SpecError(
            f"{_shown(path)} does not describe an image: {number}",
            findings=tuple(map(str, findings)),
            hint="docs/own-image.md shows each key, examples/images/ a whole one",
        )
    return spec
