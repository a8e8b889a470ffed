"""Puppet releases: the same bytes for the same content, a pointer that nobody moves blindly."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from hcluster.errors import ConflictError, HclusterError, NotFoundError, UsageError
from hcluster.flows.records import resolve_release
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.principal import Principal
from hcluster.releases.pack import digest_of, pack
from hcluster.releases.publish import Published, publish
from hcluster.releases.validate import validate
from hcluster.testing import InMemoryObjectStore, ManualClock

PUPPET = """#!/bin/bash
# Says of each file that holds the word wrong what Puppet would say.
code=0
for file in "$@"; do
    if [ -f "$file" ] && grep -q wrong "$file"; then
        echo "Error: Syntax error at 'wrong' (file: $file, line: 1)" >&2
        code=1
    fi
done
if [ $code = 1 ]; then echo "Error: Try 'puppet help parser validate' for usage" >&2; fi
exit $code
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder of Puppet code, and a Puppet that knows one error."""
    found = tmp_path / "puppet"
    for name, text in {
        "manifests/site.pp": 'include "role::${facts[hcluster_role]}"\n',
        "data/common.yaml": "a: 1\n",
        "site-modules/role/manifests/image.pp": "class role::image {}\n",
        "site-modules/role/templates/x.epp": "<%= $a %>\n",
        "site-modules/role/spec/image_spec.rb": "",
        ".fixtures.yml": "",
    }.items():
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).write_text(text)
    program = tmp_path / "bin" / "puppet"
    program.parent.mkdir()
    program.write_text(PUPPET)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return found


@pytest.fixture
def store() -> InMemoryObjectStore:
    found = InMemoryObjectStore("b", ManualClock())
    found.ensure_bucket({})
    return found


def send(
    store: InMemoryObjectStore, folder: Path, channel: str = "stable", told: list[Progress] | None = None
) -> Published:
    return publish(
        store,
        folder,
        channel,
        Principal("ann", "analytics"),
        (told if told is not None else []).append,
        clock=ManualClock(),
    )


def test_the_same_content_packs_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = pack(folder)
    os.utime(folder / "manifests" / "site.pp", (1, 1))
    (tmp_path / "elsewhere").mkdir()
    assert pack(folder.rename(tmp_path / "elsewhere" / "code")) == first


def test_a_release_holds_the_code_without_tests_and_hidden_files(folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(folder)), mode="r:gz") as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [
        "data/common.yaml",
        "manifests/site.pp",
        "site-modules/role/manifests/image.pp",
        "site-modules/role/templates/x.epp",
    ]
    assert {(member.uname, member.uid, member.mtime) for member in members} == {("root", 0, 0)}


def test_a_symbolic_link_is_refused(folder: Path) -> None:
    (folder / "data" / "secrets.yaml").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="symbolic link"):
        pack(folder)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"manifests/site\.pp"):
        pack(tmp_path)


def test_publishing_uploads_the_release_and_moves_the_channel(folder: Path, store: InMemoryObjectStore) -> None:
    done = send(store, folder)
    assert done.moved
    assert done.digest == digest_of(pack(folder))
    assert store.get(names.release_key(done.digest))[0] == pack(folder)
    pointer = json.loads(store.get(names.channel_key("stable"))[0])
    assert pointer == {
        "digest": done.digest,
        "published": "2027-01-15T08:00:00+00:00",
        "by": {"user": "ann", "team": "analytics"},
    }
    assert resolve_release(store, "stable") == done.digest


def test_publishing_the_same_again_changes_nothing_and_says_so(folder: Path, store: InMemoryObjectStore) -> None:
    first = send(store, folder)
    before = store.get(names.channel_key("stable"))
    told: list[Progress] = []
    assert send(store, folder, told=told) == Published("stable", first.digest, first.key, moved=False)
    assert store.get(names.channel_key("stable")) == before
    assert "already" in told[-1].text


def test_a_release_that_is_there_serves_a_second_channel(folder: Path, store: InMemoryObjectStore) -> None:
    first = send(store, folder, "testing")
    assert send(store, folder, "stable").moved
    assert resolve_release(store, "stable") == first.digest


def test_a_change_moves_the_channel_and_keeps_the_old_release(folder: Path, store: InMemoryObjectStore) -> None:
    first = send(store, folder)
    (folder / "data" / "common.yaml").write_text("a: 2\n")
    second = send(store, folder)
    assert resolve_release(store, "stable") == second.digest != first.digest
    assert store.get(first.key)


def test_a_channel_moved_by_somebody_else_meanwhile_is_left_alone(folder: Path, store: InMemoryObjectStore) -> None:
    send(store, folder)
    (folder / "data" / "common.yaml").write_text("a: 2\n")
    theirs = b'{"digest": "theirs"}'

    class Race(InMemoryObjectStore):
        """Somebody publishes between our reading and our writing."""

        def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str:
            if key == names.channel_key("stable"):
                store.put(key, theirs)
            return store.put(key, body, if_none_match=if_none_match, if_match=if_match)

        def get(self, key: str) -> tuple[bytes, str]:
            return store.get(key)

    racing = Race("b", ManualClock())
    racing.ensure_bucket({})
    with pytest.raises(ConflictError, match="somebody else published to channel stable") as caught:
        send(racing, folder)
    assert "hcluster puppet publish" in caught.value.hint
    assert store.get(names.channel_key("stable"))[0] == theirs


def test_code_that_is_not_valid_is_not_published_and_every_finding_is_told(
    folder: Path, store: InMemoryObjectStore
) -> None:
    (folder / "site-modules/role/manifests/image.pp").write_text("wrong")
    (folder / "site-modules/role/templates/x.epp").write_text("wrong")
    (folder / "data" / "common.yaml").write_text("a: [1\n")
    with pytest.raises(HclusterError, match="3 findings") as caught:
        send(store, folder)
    assert caught.value.reference == "puppet-invalid"
    findings = caught.value.context.splitlines()
    assert findings[0].startswith("data/common.yaml: ")
    assert findings[1] == "Error: Syntax error at 'wrong' (file: site-modules/role/manifests/image.pp, line: 1)"
    assert list(store.list("")) == []


def test_without_puppet_the_error_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(HclusterError, match="puppet is not installed") as caught:
        validate(folder)
    assert "puppet-agent" in caught.value.hint


def test_without_a_bucket_nothing_is_validated(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="no bucket") as caught:
        send(InMemoryObjectStore("b", ManualClock()), folder)
    assert caught.value.hint == "hcluster platform up"


def test_a_channel_name_that_would_leave_its_folder_is_refused(folder: Path, store: InMemoryObjectStore) -> None:
    with pytest.raises(UsageError, match="cannot be a channel"):
        send(store, folder, "../releases/x")
