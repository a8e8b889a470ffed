from __future__ import annotations

import io
import json
import subprocess
import tarfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import pytest

from hcluster.errors import DeniedError, IntegrityError, NodeFailedError, UnreachableError
from hcluster.model.told import Told
from hcluster.model.user_data import UserData
from hcluster.node import bootstrap as program
from hcluster.node import health, lifetime, release
from hcluster.node.bootstrap import (
    REPORTED,
    Paths,
    bootstrap,
    expire,
    host_keys,
    make_secret,
    run_scripts,
)
from hcluster.node.imds import Imds
from tests.unit.node_world import SHARED, FixedImds, Objects, release_body, user_data


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "ssh").mkdir()
    (tmp_path / "ssh/ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAAC3 root@node\n")
    (tmp_path / "etc/smoke.d").mkdir(parents=True)
    (tmp_path / "etc/health.json").write_text("[]")
    (tmp_path / "console").touch()
    folders = (tmp_path / name for name in ("etc", "opt", "var", "log", "ssh", "console"))
    return Paths(*folders)


def run(monkeypatch: pytest.MonkeyPatch, paths: Paths, value: UserData, objects: Objects, puppet: int = 2) -> int:
    monkeypatch.setattr(program, "Bucket", lambda *_: objects)

    def apply(folder: Path, role: str, log: Path) -> int:
        assert (folder / "manifests/site.pp").exists()
        if puppet not in release.OK_EXITS:
            raise NodeFailedError(f"puppet apply failed with exit code {puppet}", context="Error: no")
        return puppet

    monkeypatch.setattr(release, "apply", apply)
    return bootstrap(cast("Imds", FixedImds(value.render())), paths)


def test_a_node_checks_in_at_each_phase_and_leaves_its_hiera_layer(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    value, objects = user_data()
    assert run(monkeypatch, paths, value, objects) == 0
    told = Told(value.config_sha256, value.release_sha256)
    assert list(objects.checkins) == ["booted", "configured", told.answer("converged"), "ready"]
    assert objects.checkins["ready"]["archives"] == {}
    assert objects.checkins["booted"]["host_keys"] == ["ssh-ed25519 AAAAC3"]
    layer = json.loads((paths.etc / "node.yaml").read_text())
    assert layer["hcluster::role"] == "core"
    assert layer["hcluster::s3_endpoint"] == "http://10.64.0.1:4566"
    assert layer["hcluster::site"] == SHARED["site"]
    assert layer["hcluster::memory_mib"] > 0
    assert {key.removeprefix("hcluster::") for key in layer} >= {"node_ip", "node_host", "vcpus", "workers", "team"}


def test_puppet_runs_once_a_boot(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    value, objects = user_data()
    monkeypatch.setattr(program, "Bucket", lambda *_: objects)
    runs: list[str] = []

    def apply(_folder: Path, role: str, _log: Path) -> int:
        runs.append(role)
        return 2

    monkeypatch.setattr(release, "apply", apply)
    assert bootstrap(cast("Imds", FixedImds(value.render())), paths) == 0
    assert runs == ["core"]


@pytest.mark.parametrize("which", ["config_sha256", "release_sha256"])
def test_a_wrong_digest_fails_the_node_before_anything_is_applied(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, which: str
) -> None:
    value, objects = user_data()
    wrong = UserData(**(asdict(value) | {which: "0" * 64}))
    assert run(monkeypatch, paths, wrong, objects) == REPORTED
    assert objects.checkins["failed"]["reference"] == "digest-mismatch"
    assert objects.checkins["failed"]["step"] == "fetch"
    assert not (paths.etc / "node.yaml").exists()


def test_a_failing_puppet_run_is_reported_with_its_log(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    value, objects = user_data()
    assert run(monkeypatch, paths, value, objects, puppet=4) == REPORTED
    assert objects.checkins["failed"]["log_tail"] == "Error: no"
    assert "ready" not in objects.checkins


def test_a_failing_script_is_reported_with_its_output(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    scripts = [{"name": "tools", "script": "#!/bin/sh\necho no such tool >&2\nexit 3\n", "args": []}]
    value, objects = user_data({**SHARED, "bootstrap": scripts})
    assert run(monkeypatch, paths, value, objects) == REPORTED
    failed = objects.checkins["failed"]
    assert failed["message"] == "bootstrap script tools failed with exit code 3"
    assert "no such tool" in str(failed["log_tail"])


def test_a_fault_in_the_program_itself_is_reported_too(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    incomplete = {key: item for key, item in SHARED.items() if key != "workers"}
    value, objects = user_data(incomplete)
    assert run(monkeypatch, paths, value, objects) == REPORTED
    assert objects.checkins["failed"]["reference"] == "bug"
    assert "workers" in str(objects.checkins["failed"]["message"])


def test_the_end_is_arranged_before_anything_is_fetched_or_reported(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    value, objects = user_data()
    arranged: list[int] = []

    def arrange(expires_at: int) -> None:
        assert not objects.checkins
        arranged.append(expires_at)

    monkeypatch.setattr(lifetime, "arrange", arrange)
    assert run(monkeypatch, paths, replace(value, expires_at=4_600, config_key="none"), objects) == REPORTED
    assert arranged == [4_600]


def test_a_node_whose_end_cannot_be_arranged_reports_it_and_goes_no_further(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    value, objects = user_data()

    def arrange(expires_at: int) -> None:
        raise NodeFailedError("the end of this node's lifetime cannot be arranged", context="no systemd")

    monkeypatch.setattr(lifetime, "arrange", arrange)
    assert run(monkeypatch, paths, replace(value, expires_at=4_600), objects) == REPORTED
    assert list(objects.checkins) == ["failed"]
    assert objects.checkins["failed"]["step"] == "lifetime"
    assert objects.checkins["failed"]["log_tail"] == "no systemd"


@pytest.mark.parametrize(
    ("text", "fault", "said"),
    [
        ("#cloud-config\n", None, "user-data of this node was not written by hcluster"),
        ("", UnreachableError("the metadata service does not answer"), "does not answer"),
        ("", ValueError("what?"), "ValueError: what?"),
    ],
)
def test_a_node_that_does_not_know_who_it_is_says_so_in_one_line_on_its_console(
    paths: Paths, text: str, fault: Exception | None, said: str
) -> None:
    assert bootstrap(cast("Imds", FixedImds(text, fault)), paths) == 1
    lines = paths.console.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("hcluster: failed in step identity, nobody can be told: ")
    assert said in lines[0]


def test_a_failure_that_cannot_be_reported_is_on_the_console_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    value, objects = user_data()

    def check_in(*_: object) -> None:
        raise DeniedError("s3://b/x cannot be written")

    monkeypatch.setattr(objects, "check_in", check_in)
    assert run(monkeypatch, paths, value, objects) == 1
    said = paths.console.read_text()
    assert "failed in step check-in: s3://b/x cannot be written" in said


def test_a_bucket_that_cannot_be_opened_ends_with_code_1_and_a_word(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    def broken(*_: object) -> Objects:
        raise ValueError("Invalid endpoint: http//")

    monkeypatch.setattr(program, "Bucket", broken)
    assert bootstrap(cast("Imds", FixedImds(user_data()[0].render())), paths) == 1
    assert "ValueError: Invalid endpoint: http//" in paths.console.read_text()


def test_the_unit_starts_again_only_what_was_not_reported_and_only_once() -> None:
    modules = Path(__file__).parents[2] / "puppet/modules/hcluster_node/templates"
    unit = (modules / "bootstrap.service.epp").read_text().splitlines()
    assert {"Restart=on-failure", f"RestartPreventExitStatus={REPORTED}", "StartLimitBurst=2"} <= set(unit)


@pytest.mark.parametrize("fault", [None, DeniedError("no"), ValueError("what?")])
def test_an_expired_node_powers_off_whatever_the_registry_says(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, fault: Exception | None
) -> None:
    value, _ = user_data(role="master")
    calls: list[object] = []

    class Rows:
        def close_row(self, cluster: str, launch: str, at: float) -> None:
            calls.append((cluster, launch))
            if fault:
                raise fault

    def note(words: list[str], **_: object) -> None:
        calls.append(words)

    monkeypatch.setattr(program, "Bucket", lambda *_: Rows())
    monkeypatch.setattr(subprocess, "run", note)
    assert expire(cast("Imds", FixedImds(value.render())), paths) == (1 if fault else 0)
    assert calls == [("flights", "l1"), ["systemctl", "poweroff"]]


def test_the_platform_node_makes_its_secret_once(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    value, objects = user_data(role="platform")
    assert run(monkeypatch, paths, value, objects) == 0
    secret = paths.etc / "secrets/metastore"
    first = secret.read_text()
    assert len(first) >= 24
    assert secret.stat().st_mode & 0o777 == 0o600
    make_secret(secret)
    assert secret.read_text() == first


def test_scripts_run_once_in_a_machines_life_with_their_arguments(paths: Paths, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scripts = [{"name": "a", "script": f'#!/bin/sh\necho "$1 $HCLUSTER_ROLE" >> {out}\n', "args": ["two words"]}]
    run_scripts(scripts, paths, {"HCLUSTER_ROLE": "core"})
    run_scripts(scripts, paths, {"HCLUSTER_ROLE": "core"})
    assert out.read_text() == "two words core\n"


def test_a_script_that_cannot_be_run_fails_the_node(paths: Paths) -> None:
    with pytest.raises(NodeFailedError, match="cannot be run"):
        run_scripts([{"name": "a", "script": "#!/no/such/shell\n", "args": []}], paths, {})


def test_missing_host_keys_are_an_error_after_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(NodeFailedError, match="host keys"):
        host_keys(tmp_path, deadline_seconds=0.1)


def test_the_same_release_is_unpacked_once_and_the_link_moves_to_the_newest(tmp_path: Path) -> None:
    first = release.unpack(release_body(), "aa", tmp_path)
    (first / "mark").write_text("kept")
    assert (release.unpack(release_body(), "aa", tmp_path) / "mark").read_text() == "kept"
    second = release.unpack(release_body(), "bb", tmp_path)
    assert (tmp_path / "release").resolve() == second


def test_a_release_that_writes_outside_its_folder_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("../escaped")
        archive.addfile(member, io.BytesIO(b""))
    with pytest.raises(IntegrityError, match="unpacked"):
        release.unpack(out.getvalue(), "cc", tmp_path / "base")
    assert not (tmp_path / "base/escaped").exists()
    assert not (tmp_path / "escaped").exists()


def test_user_data_without_a_lifetime_stands() -> None:
    fields = json.loads(user_data()[0].render())
    del fields["hcluster"]["expires_at"]
    assert UserData.parse(json.dumps(fields)).expires_at == 0


def test_user_data_of_somebody_else_is_refused() -> None:
    with pytest.raises(IntegrityError):
        UserData.parse("#cloud-config\n")


def test_a_smoke_test_that_fails_is_named_with_its_output(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "s3a"
    good.write_text("#!/bin/sh\nexit 0\n")
    bad.write_text("#!/bin/sh\necho denied\nexit 1\n")
    for script in (good, bad):
        script.chmod(0o755)
    with pytest.raises(NodeFailedError, match="s3a") as raised:
        health.smoke(tmp_path)
    assert raised.value.context == "denied\n"


def test_no_smoke_tests_is_fine(tmp_path: Path) -> None:
    assert health.smoke(tmp_path / "none") == {}


def test_a_ready_node_notes_when_it_booted_and_the_platforms_tests_come_after_its_daemons(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    """Its tests ask its own daemons; those of all others run while daemons start and masters take workers in."""
    orders = {}
    for role in ("core", "platform"):
        value, objects = user_data(role=role)
        assert run(monkeypatch, paths, value, objects) == 0
        marks = cast("dict[str, float]", objects.checkins["ready"]["marks"])
        assert marks["boot"] < marks["identity"]
        orders[role] = [name for name in marks if name in ("smoke", "health", "joining", "smoke-rest", "ready")]
        assert {"started", "daemons", "joined", "smoke"} <= set(objects.checkins["ready"])
    assert orders["core"] == ["smoke", "health", "joining", "smoke-rest", "ready"]
    assert orders["platform"] == ["health", "smoke", "ready"]


def test_a_worker_that_no_master_takes_in_is_not_ready(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    monkeypatch.setattr(program, "HEALTH_SECONDS", 0.0)
    join = {"name": "yarn", "unit": "hadoop-nodemanager.service", "url": "http://127.0.0.1:1/", "text": "RUNNING"}
    (paths.etc / "joins.json").write_text(json.dumps([join]))
    value, objects = user_data()
    assert run(monkeypatch, paths, value, objects) == REPORTED
    assert "ready" not in objects.checkins
    assert objects.checkins["failed"]["step"] == "joining"
    assert "yarn" in str(objects.checkins["failed"]["message"])


def test_a_failing_smoke_test_fails_the_node_beside_its_daemons(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    test = paths.etc / "smoke.d/s3a"
    test.write_text("#!/bin/sh\necho no bucket\nexit 1\n")
    test.chmod(0o755)
    value, objects = user_data()
    assert run(monkeypatch, paths, value, objects) == REPORTED
    assert "s3a" in str(objects.checkins["failed"]["message"])
    assert "ready" not in objects.checkins


def test_puppet_loads_what_the_image_has_compiled_when_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = []

    def puppet(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        told.append(cast("dict[str, str]", options["env"]).get("RUBYOPT", ""))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.delenv("RUBYOPT", raising=False)
    monkeypatch.setattr(subprocess, "run", puppet)
    monkeypatch.setattr(release, "RUBY_CACHE", tmp_path / "ruby-cache.rb")
    release.apply(tmp_path, "core", tmp_path / "log")
    (tmp_path / "ruby-cache.rb").touch()
    release.apply(tmp_path, "core", tmp_path / "log")
    assert told[0] == ""
    assert told[1].endswith(f" -r{tmp_path}/ruby-cache.rb")
