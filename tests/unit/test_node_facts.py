"""Puppet gets the facts that a release uses; Facter is asked only when it may use others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest

from hcluster.errors import NodeFailedError
from hcluster.node import facts, release

PUPPET = Path(__file__).parents[2] / "puppet"


def test_our_own_release_needs_no_facter() -> None:
    assert facts.enough(PUPPET)


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("if $facts['hcluster_role'] == 'core' {", ["hcluster_role"]),
        ("notice(\"${facts['os']['architecture']}\")", ["os.architecture"]),
        ("$::facts['networking']['ip']", ["networking.ip"]),
        ("$facts[$name]", [""]),
        ("$facts['os'][$name]", [""]),
        ("$facts.dig('os')", [""]),
        ("$facts", [""]),
        ("getvar('facts.os')", [""]),
        ("$trusted['certname']", ["certname"]),
        ("inline_template('<%= @kernel %>')", [""]),
        ("# facts are not asked\n$artefacts = 1", []),
    ],
)
def test_facts_that_code_uses(code: str, used: list[str]) -> None:
    assert list(facts.in_code(code)) == used


@pytest.mark.parametrize(
    ("data", "used"),
    [
        ("a: \"%{facts.os.architecture} %{lookup('b')} %{ alias('c') }\"", ["os.architecture"]),
        ("a: '%{::facts.networking.ip}'", ["networking.ip"]),
        ("a: '%{hostname}'", [""]),
        ("mapped_paths: [facts.mountpoints, one, 'a/%{one}.yaml']", ["", ""]),
    ],
)
def test_facts_that_data_uses(data: str, used: list[str]) -> None:
    assert list(facts.in_data(data)) == used


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("modules/other/manifests/init.pp", "class other { notice($facts['kernel']) }"),
        ("modules/other/templates/a.epp", "<%= $facts['kernel'] %>"),
        ("modules/other/templates/a.erb", "<%= @kernel %>"),
        ("modules/other/lib/facter/mine.rb", "Facter.add(:mine)"),
        ("modules/other/facts.d/mine.txt", "mine=1"),
        ("data/other.yaml", "a: '%{facts.kernel}'"),
        ("data/other.json", """{"a": "%{facts.kernel}"}"""),
    ],
)
def test_a_release_that_may_use_another_fact_gets_all(tmp_path: Path, path: str, text: str) -> None:
    shutil.copytree(PUPPET, tmp_path / "release")
    more = tmp_path / "release" / path
    more.parent.mkdir(parents=True, exist_ok=True)
    more.write_text(text)
    assert not facts.enough(tmp_path / "release")


def test_a_spec_whose_settings_name_another_fact_gets_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come in the layer that the bootstrap writes, and Hiera reads them as it reads the release's own data."""
    layer = tmp_path / "node.yaml"
    monkeypatch.setattr(facts, "LAYER", layer)
    site = {"yarn-site": {"a": "%{lookup('hcluster::master_host')}:1", "b": "100%"}}
    layer.write_text(json.dumps({"hcluster::site": site}))
    assert facts.enough(PUPPET)
    site["yarn-site"]["b"] = "%{facts.networking.mac}"
    layer.write_text(json.dumps({"hcluster::site": site}))
    assert not facts.enough(PUPPET)


def test_the_processor_has_debians_name() -> None:
    assert facts.values("core", "aarch64") == {"hcluster_role": "core", "os": {"architecture": "arm64"}}
    assert facts.values("core", "x86_64")["os"] == {"architecture": "amd64"}


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *codes: int) -> list[list[str]]:
    """The commands of an application of a release whose runs end with these codes."""
    ran: list[list[str]] = []

    def puppet(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(command)
        return subprocess.CompletedProcess(command, codes[len(ran) - 1])

    monkeypatch.setattr(subprocess, "run", puppet)
    release.apply(folder / "release", "core", folder / "log")
    return ran


def test_what_does_not_compile_without_facter_is_tried_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = run(monkeypatch, tmp_path, 1, 2)
    assert ["--facts_terminus" in command for command in ran] == [True, False]


@pytest.mark.parametrize("code", [4, 6])
def test_what_failed_while_it_was_applied_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    with pytest.raises(NodeFailedError, match=f"code {code}"):
        run(monkeypatch, tmp_path, code)


@pytest.mark.skipif(not shutil.which("puppet"), reason="needs Debian's puppet-agent")
def test_puppet_reads_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "release/manifests").mkdir(parents=True)
    (base / "release/hiera.yaml").write_text("version: 5\n")
    said = "\"${facts['hcluster_role']} on ${facts['os']['architecture']}\""
    (base / "release/manifests/site.pp").write_text(f"notify {{ {said}: }}\n")
    monkeypatch.setattr(release, "RUBY_CACHE", tmp_path / "none")
    real, mine = subprocess.run, ["--confdir", str(tmp_path / "conf"), "--vardir", str(tmp_path / "var")]

    def puppet(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        return cast("subprocess.CompletedProcess[bytes]", real([*command[:2], *mine, *command[2:]], **options))  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", puppet)
    assert release.apply(base / "release", "core", tmp_path / "log") == 2
    known = json.loads((base / "puppet/facts/node.json").read_text())["values"]
    assert f"core on {known['os']['architecture']}" in (tmp_path / "log").read_text()
