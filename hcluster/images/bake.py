"""Bake images with Packer: each once for the same inputs, on AWS and the local cloud alike, after those below it."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from hcluster.errors import BakeError, DeadlineError, NotFoundError
from hcluster.images import builder, distribution, inputs, node_tree, prune
from hcluster.images import layer as layers
from hcluster.images.builder import STEP, Access, Build, Wanted
from hcluster.images.jars import Fetch
from hcluster.images.layer import Layer
from hcluster.images.sources import Recipe, Sources, lineage
from hcluster.model import names
from hcluster.model.events import Progress, Report, silent
from hcluster.model.image import Image
from hcluster.model.principal import Principal
from hcluster.ports import Clock, Compute, Images
from hcluster.spec.image import BASE

FORMAT = 2
"""Raise it when what this module does to an image changes otherwise than through its inputs."""
DEADLINE_SECONDS = 1800.0
_DIST = "dist.tar.zst"
_NODE = "node.tar.zst"


@dataclass(frozen=True, slots=True)
class Bakery:
    """All that bakes of one platform have in common."""

    images: Images
    compute: Compute
    access: Access
    wanted: Wanted
    sources: Sources
    folders: Sequence[Path]
    """Where the YAML of an image is looked for, in this order."""
    release: tuple[str, bytes]
    """(SHA-256, bytes) of the packed Puppet code that installs."""
    from_bucket: Fetch
    """The body of an object of the platform's bucket."""
    cache: Path
    """Folder for what can be built again, and for logs."""
    principal: Principal
    """Who bakes; recorded in the image."""
    clock: Clock
    environment: Mapping[str, str]
    """Of this process; Packer's is made from it."""
    report: Report = silent
    deadline: float = DEADLINE_SECONDS
    """Seconds that Packer may take for one image."""


@dataclass(frozen=True, slots=True)
class Baked:
    """What came of it."""

    image: Image
    inputs: str
    """Hash of every input."""
    baked: bool
    """False: an image of the same inputs was there."""
    reason: str
    """Why it was baked, or why not."""
    seconds: float
    parents: tuple[Baked, ...] = ()
    """The same of the images that it stands on, lowest first."""


def bake(bakery: Bakery, name: str, *, force: bool = False, parents: bool = True) -> Baked:
    """Make sure that there is an image of these inputs, and before it of each image that it stands on.

    Args:
        bakery: what all bakes have in common.
        name: of the image; NAME.yaml is in one of the folders.
        force: bake even when an image of the same inputs exists; the newest one wins.
        parents: whether images below it are baked, too, when their inputs changed; if not, its parent's newest image is
            taken as it is.

    Raises:
        BakeError: Packer, Puppet or the validation failed; the context has the end of what they said.
        NotFoundError: no such YAML, no parent, no network.
        SpecError, UsageError: a YAML is wrong, or images stand on each other in a circle.
        DeadlineError: it took too long; Packer removed its instance.
        IntegrityError: a jar or a package is not the one that is locked.
    """
    bakery.sources.check()
    recipes = lineage(name, bakery.folders)
    if not parents:
        recipes = recipes[-1:]
    done: list[Baked] = []
    for recipe in recipes:
        parent = done[-1].image if done else _parent(bakery, recipe)
        below = tuple(done)
        one = _one(bakery, recipe, parent, force=force and recipe is recipes[-1])
        done.append(Baked(one.image, one.inputs, one.baked, one.reason, one.seconds, below))
    prune.prune(bakery.cache)
    return done[-1]


def inputs_of(sources: Sources, wanted: Wanted, layer: Layer, parent: Image, release_digest: str) -> str:
    """Hash (hex) of everything that an image depends on: a difference in any input is another image."""
    values = {
        "format": FORMAT,
        "platform": wanted.platform,
        "ssh_user": wanted.ssh_user,
        "parent": parent.id,
        "release": release_digest,
        "layer": layer.inputs(),
    }
    if not layer.recipe.spec.layered:
        values["distribution"] = distribution.key_of(sources.ami / "hadoop")
        values["node"] = node_tree.key_of(sources.package, sources.lock)
    files = [sources.template, *inputs.files_below(sources.ami / "scripts")]
    return inputs.hash_of(values, {"ami": files}, sources.root)


def _parent(bakery: Bakery, recipe: Recipe) -> Image:
    """The image below one whose parent is not baked along. Raises NotFoundError."""
    parent = recipe.spec.parent
    if parent == BASE:
        return bakery.images.base_image(bakery.wanted.base_name, bakery.wanted.base_owner)
    if parent.startswith("ami-"):
        return bakery.images.image(parent)
    found = bakery.images.images({names.TAG_PLATFORM: bakery.wanted.platform, names.TAG_IMAGE_NAME: parent})
    if not found:
        raise NotFoundError(
            f"{recipe.spec.name} stands on image {parent}, of which there is none",
            hint=f"bake it where its YAML is (`hcluster ami bake --image {parent}`), or name that folder: --images DIR",
            reference="no-image",
        )
    return found[0]


def _one(bakery: Bakery, recipe: Recipe, parent: Image, *, force: bool) -> Baked:
    """One image on a parent that is there."""
    began = bakery.clock.now()
    family = recipe.spec.name
    bakery.report(Progress(STEP, f"{family}: computing the image's inputs"))
    layer = layers.pin(recipe, bakery.cache / "logs", report=bakery.report)
    key = inputs_of(bakery.sources, bakery.wanted, layer, parent, bakery.release[0])
    ours = {names.TAG_PLATFORM: bakery.wanted.platform, names.TAG_IMAGE_NAME: family}
    tags = {**ours, names.TAG_IMAGE_HASH: key}
    if not force and (existing := _existing(bakery.images, tags)):
        return _done(bakery, existing, key, "", bakery.clock.now() - began)
    reason = "forced" if force else _reason(bakery.images.images(ours), parent)
    bakery.report(Progress(STEP, f"{family}: to be baked on {parent.name}, since {reason}"))
    name = f"hcluster-{family}-{key[:12]}"
    with tempfile.TemporaryDirectory(dir=_made(bakery.cache), prefix=".bake-") as folder:
        scratch = Path(folder)
        uploads = _gather(bakery, layer, scratch)
        with _alone(bakery.cache / f"bake-{name}.lock", bakery.clock, bakery.deadline, bakery.report) as guard:
            if not force and (existing := _existing(bakery.images, tags)):
                return _done(bakery, existing, key, "", bakery.clock.now() - began)
            if force and bakery.images.images(tags):
                # The old one stays: nodes may still be launched from it.
                name = f"{name}-{datetime.fromtimestamp(bakery.clock.now(), UTC):%Y%m%d%H%M%S}"
            builder.sweep(bakery.compute, bakery.wanted.platform, bakery.clock.now() - 2 * bakery.deadline)
            (uploads / "image.json").write_bytes(_about(bakery, layer, parent, name, key))
            role = "layer" if recipe.spec.layered else "image"
            lineage_tags = {names.TAG_IMAGE_PARENT: parent.id, names.TAG_IMAGE_LAYERS: _layers(parent, layer)}
            build = Build(name, recipe.spec.description, parent, role, tags | lineage_tags, uploads)
            image = _run(bakery, build, scratch, guard)
    found = bakery.images.image(image) if image else _existing(bakery.images, tags)
    if found is None:
        hint = f"see {builder.log_of(bakery.cache, name)}"
        raise BakeError(f"Packer ended well but made no image {name}", hint=hint)
    return _done(bakery, found, key, reason, bakery.clock.now() - began)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _existing(images: Images, tags: Mapping[str, str]) -> Image | None:
    return next((image for image in images.images(tags) if image.state == "available"), None)


def _reason(before: Sequence[Image], parent: Image) -> str:
    """Why an image of a family has to be baked, from those that there are, newest first; pure."""
    if not before:
        return "there is none yet"
    below = before[0].tags.get(names.TAG_IMAGE_PARENT, "")
    if below != parent.id:
        return f"its parent changed from {below or 'another'} to {parent.id}"
    return "its own inputs changed"


def _done(bakery: Bakery, image: Image, key: str, reason: str, seconds: float) -> Baked:
    """The attribute is set in either case: whoever baked before may have been killed just before this."""
    bakery.images.require_imdsv2(image.id)
    said = f"baked in {seconds:.0f} s" if reason else "exists, its inputs are unchanged"
    bakery.report(Progress(STEP, f"image {image.id} ({image.name}) {said}", state="ok"))
    return Baked(image, key, bool(reason), reason or "its inputs are unchanged", seconds)


def _gather(bakery: Bakery, layer: Layer, scratch: Path) -> Path:
    """The folder of all that goes onto the machine."""
    uploads = scratch / "uploads"
    uploads.mkdir()
    layers.gather(layer, uploads, bakery.cache, bakery.from_bucket, report=bakery.report)
    (uploads / "puppet.tar.gz").write_bytes(bakery.release[1])
    if not layer.recipe.spec.layered:
        sources = bakery.sources
        dist = distribution.build(sources.ami / "hadoop", bakery.cache, report=bakery.report).archive
        tree = node_tree.build(sources.package, sources.lock, bakery.cache, report=bakery.report)
        # Links, so that they stay even when the cache is pruned meanwhile.
        (uploads / _DIST).hardlink_to(dist)
        (uploads / _NODE).hardlink_to(tree)
    return uploads


def _layers(parent: Image, layer: Layer) -> str:
    """Names of the images in an image, lowest first."""
    return ",".join(part for part in (parent.tags.get(names.TAG_IMAGE_LAYERS, ""), layer.name) if part)


def _about(bakery: Bakery, layer: Layer, parent: Image, name: str, key: str) -> bytes:
    """What becomes part of /etc/hcluster/image.json (ami/scripts/30-version.sh adds what the parent's tells)."""
    by = {"user": bakery.principal.user, "team": bakery.principal.team}
    below = {"id": parent.id, "name": parent.name}
    about = {
        "name": name,
        "inputs": key,
        "parent": below,
        "release": bakery.release[0],
        "baked": datetime.fromtimestamp(bakery.clock.now(), UTC).isoformat(timespec="seconds"),
        "by": by,
        "layers": [layer.about() | {"image": name, "inputs": key}],
    }
    if not layer.recipe.spec.layered:
        about["base"] = below
    return (json.dumps(about, indent=1, sort_keys=True) + "\n").encode()


def _run(bakery: Bakery, build: Build, scratch: Path, guard: IO[str]) -> str:
    """Packer; the image's id, "" when it did not say."""
    values = builder.variables(bakery.compute, bakery.access, bakery.wanted, build)
    try:
        return builder.run(
            bakery.access,
            bakery.sources.template,
            values,
            scratch,
            bakery.cache,
            bakery.environment,
            bakery.report,
            bakery.deadline,
            guard,
        )
    except BakeError as cause:
        try:
            bakery.images.image(build.parent.id)
        except NotFoundError:
            raise BakeError(
                f"the parent of {build.name}, {build.parent.id} ({build.parent.name}), was deregistered meanwhile",
                context=cause.context,
                hint="run the same `hcluster ami bake` again: it takes the parent's newest image, or bakes one",
            ) from cause
        raise


@contextmanager
def _alone(path: Path, clock: Clock, deadline: float, report: Report) -> Iterator[IO[str]]:
    """Hold the lock of one image's name on this machine.

    Raises:
        DeadlineError: another bake held it all the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as guard:
        until = clock.now() + deadline
        while True:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report(Progress(STEP, "waiting for another bake of the same image"))
            if clock.now() > until:
                raise DeadlineError(
                    "another bake of the same image did not end", hint=f"look for its packer; lock: {path}"
                )
            clock.sleep(1)
        yield guard
