"""What Puppet loads is compiled in the image; a file that has changed since, or that is broken, is loaded as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "puppet/modules/hcluster_node/files/ruby-cache.rb"

pytestmark = pytest.mark.skipif(not shutil.which("ruby"), reason="needs Ruby")


def ruby(*words: str, **environment: str) -> str:
    done = subprocess.run(
        ["ruby", "--disable=gems", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def library(tmp_path: Path) -> tuple[Path, Path]:
    """A file that was compiled, and the cache."""
    folder, cache = (tmp_path / "lib").resolve(), tmp_path / "cache"
    folder.mkdir()
    (folder / "said.rb").write_text("SAID = 'source'\n")
    (folder / "broken.rb").write_text("def (\n")
    ruby(str(HOOK), str(cache), str(folder))
    assert (cache / "complete").exists()
    return folder / "said.rb", cache


def said(file: Path, cache: Path) -> str:
    return ruby(f"-r{HOOK}", "-e", f"require '{file}'; print SAID", HCLUSTER_RUBY_CACHE=str(cache))


def replace_compiled(file: Path, cache: Path, content: bytes) -> None:
    compiled = Path(f"{cache}{file}.bin")
    compiled.write_bytes(content)
    times = file.stat()
    os.utime(compiled, ns=(times.st_mtime_ns, times.st_mtime_ns))


def test_the_compiled_file_is_loaded_in_place_of_its_source(library: tuple[Path, Path], tmp_path: Path) -> None:
    file, cache = library
    assert said(file, cache) == "source"
    other = tmp_path / "other.rb"
    other.write_text("SAID = 'compiled'\n")
    ruby(str(HOOK), str(cache), str(tmp_path))
    replace_compiled(file, cache, Path(f"{cache}{other.resolve()}.bin").read_bytes())
    assert said(file, cache) == "compiled"


def test_a_file_that_was_updated_since_is_loaded_from_its_source(library: tuple[Path, Path]) -> None:
    file, cache = library
    file.write_text("SAID = 'updated'\n")
    os.utime(file, ns=(1, 1))
    assert said(file, cache) == "updated"


@pytest.mark.parametrize("content", [b"", b"YARB", b"of another program"])
def test_a_compiled_file_that_ruby_refuses_costs_nothing_but_time(library: tuple[Path, Path], content: bytes) -> None:
    file, cache = library
    replace_compiled(file, cache, content)
    assert said(file, cache) == "source"


def test_without_a_cache_everything_is_loaded_as_it_is(library: tuple[Path, Path], tmp_path: Path) -> None:
    assert said(library[0], tmp_path / "none") == "source"
