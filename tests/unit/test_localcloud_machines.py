"""What a node is given: size, OCI configuration, addresses, layers, console."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hcluster.errors import LocalCloudError, NotFoundError
from hcluster.localcloud import base_files, base_image, console, network, oci, preflight, system, types
from hcluster.localcloud.layers import Layers


@pytest.mark.parametrize(
    ("name", "memory_mib", "vcpus"),
    [("m5.large", 1536, 2), ("m5.xlarge", 3072, 2), ("t3.large", 1536, 2), ("r5.large", 3072, 2), ("c5.large", 768, 2)],
)
def test_types_shrink_with_the_machine(name: str, memory_mib: int, vcpus: int) -> None:
    assert types.scaled(name, host_mib=24105, host_cpus=2) == types.Size(vcpus, memory_mib)


def test_no_type_gets_more_than_on_aws() -> None:
    assert types.scaled("m5.large", host_mib=1 << 20, host_cpus=64) == types.Size(2, 8192)


def test_cpus_are_capped_by_the_machine() -> None:
    assert types.scaled("m5.4xlarge", host_mib=131072, host_cpus=4).vcpus == 4


@pytest.mark.parametrize("name", ["m5", "m5.huge", "x9.large", "t3.24xlarge", ""])
def test_unknown_types_are_refused(name: str) -> None:
    with pytest.raises(LocalCloudError, match="does not know the instance type"):
        types.aws_size(name)


def _config(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "root": "/state/root",
        "hostname": "ip-10-70-16-4",
        "network_namespace": "/run/netns/hcl-1-i-1",
        "cgroup": "/hcl-1/i-1",
        "size": types.Size(2, 1536),
        "sysctls": ["fs", "kernel", "net", "vm"],
        "unified_cgroups": False,
        "fuse": True,
    }
    return oci.config(oci.NodeConfig(**(values | changes)))  # type: ignore[arg-type]


def test_limits_are_those_of_the_type() -> None:
    resources = _config()["linux"]["resources"]  # type: ignore[index]
    assert resources["memory"] == {"limit": 1536 << 20}
    assert resources["cpu"] == {"quota": 200_000, "period": 100_000}
    assert resources["pids"]["limit"] >= 4096


def test_a_node_gets_no_swap_where_the_kernel_can_tell() -> None:
    resources = _config(unified_cgroups=True)["linux"]["resources"]  # type: ignore[index]
    assert resources["memory"] == {"limit": 1536 << 20, "swap": 1536 << 20}


def test_a_node_reaches_no_device_of_the_machine() -> None:
    rules = _config()["linux"]["resources"]["devices"]  # type: ignore[index]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert all(rule["allow"] and rule["type"] == "c" for rule in rules[1:])
    assert {rule["major"] for rule in rules[1:]} == {1, 5, 10, 136}


def test_only_the_networks_settings_are_writable() -> None:
    read_only = _config()["linux"]["readonlyPaths"]  # type: ignore[index]
    assert {"/proc/sys/fs", "/proc/sys/kernel", "/proc/sys/vm", "/proc/sysrq-trigger"} <= set(read_only)
    assert not any(path.startswith("/proc/sys/net") for path in read_only)


def test_a_node_may_not_load_modules_or_set_the_clock() -> None:
    granted = _config()["process"]["capabilities"]["bounding"]  # type: ignore[index]
    assert not {"CAP_SYS_MODULE", "CAP_SYS_TIME", "CAP_SYS_RAWIO", "CAP_SYSLOG"} & set(granted)


def test_fuse_is_there_only_where_the_machine_has_it() -> None:
    assert _config()["linux"]["devices"][0]["path"] == "/dev/fuse"  # type: ignore[index]
    assert _config(fuse=False)["linux"]["devices"] == []  # type: ignore[index]


def test_systemd_is_told_to_log_to_the_console() -> None:
    assert "systemd.journald.forward_to_console=1" in _config()["process"]["args"]  # type: ignore[index]


def test_hardware_addresses_follow_from_addresses() -> None:
    assert network.hardware_address("10.70.16.4") == "02:68:0a:46:10:04"


def test_preflight_names_all_missing_packages_in_one_command(tmp_path: Path) -> None:
    (tmp_path / "filesystems").write_text("nodev overlay\n")
    with pytest.raises(LocalCloudError) as caught:
        preflight.check(
            user_id=lambda: 0,
            which=lambda command: None if command in ("runc", "dnsmasq") else "/bin/x",
            system=lambda: "Linux",
            filesystems=tmp_path / "filesystems",
        )
    assert caught.value.hint == "apt-get install --yes --no-install-recommends dnsmasq-base runc"


def test_preflight_wants_root_before_it_asks_for_packages() -> None:
    with pytest.raises(LocalCloudError, match="needs root"):
        preflight.check(user_id=lambda: 1000, which=lambda _: None, system=lambda: "Linux")


def test_preflight_wants_linux() -> None:
    with pytest.raises(LocalCloudError, match="needs a Linux machine"):
        preflight.check(user_id=lambda: 0, which=lambda _: None, system=lambda: "Darwin")


def test_preflight_loads_the_overlay_module_once_before_it_gives_up(tmp_path: Path) -> None:
    filesystems = tmp_path / "filesystems"
    filesystems.write_text("ext4\n")
    settings = {
        "user_id": lambda: 0,
        "which": lambda _: "/bin/x",
        "system": lambda: "Linux",
        "filesystems": filesystems,
    }
    preflight.check(**settings, load=lambda: filesystems.write_text("nodev overlay\n"))  # type: ignore[arg-type]
    filesystems.write_text("ext4\n")
    with pytest.raises(LocalCloudError, match="no overlay file system"):
        preflight.check(**settings, load=lambda: None)  # type: ignore[arg-type]


def test_the_base_masks_what_would_only_fail_without_an_uplink() -> None:
    assert base_files.LINKS["etc/systemd/system/apt-daily.timer"] == "/dev/null"
    assert "DefaultTasksMax=infinity" in base_files.FILES["etc/systemd/system.conf.d/node.conf"][1]


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    base = tmp_path / "base"
    base.mkdir()
    found = Layers(tmp_path / "layers")
    found.register_base("ami-base", base)
    return found


def _upper(tmp_path: Path) -> Path:
    upper = tmp_path / "upper"
    (upper / "etc/ssh").mkdir(parents=True, exist_ok=True)
    (upper / "etc/machine-id").write_text("0123\n")
    (upper / "etc/ssh/ssh_host_ed25519_key").write_text("private")
    (upper / "etc/ssh/sshd_config").write_text("keep")
    (upper / "etc/hostname").write_text("ip-10-70-16-4\n")
    return upper


def _nobody() -> Iterator[str]:
    return iter(())


def test_an_image_has_no_identity_of_the_instance_it_was_made_from(layers: Layers, tmp_path: Path) -> None:
    layers.create("ami-1", "ami-base", _upper(tmp_path))
    etc = layers.roots("ami-1")[0] / "etc"
    assert sorted(str(path.relative_to(etc)) for path in etc.rglob("*")) == ["machine-id", "ssh", "ssh/sshd_config"]
    assert (etc / "machine-id").read_text() == ""


def test_layers_stack_on_the_image_of_their_instance(layers: Layers, tmp_path: Path) -> None:
    layers.create("ami-1", "ami-base", _upper(tmp_path))
    layers.create("ami-2", "ami-1", _upper(tmp_path))
    assert layers.chain("ami-2") == ["ami-2", "ami-1", "ami-base"]
    assert layers.roots("ami-2")[-1] == tmp_path / "base"
    assert layers.is_base("ami-base")
    assert not layers.is_base("ami-1")


def test_a_layer_goes_only_when_nothing_stands_on_it(layers: Layers, tmp_path: Path) -> None:
    layers.create("ami-1", "ami-base", _upper(tmp_path))
    layers.create("ami-2", "ami-1", _upper(tmp_path))
    layers.delete("ami-1", _nobody)
    assert layers.exists("ami-1")
    layers.delete("ami-2", lambda: iter(["ami-2"]))
    assert layers.exists("ami-2")
    layers.collect(_nobody)
    assert not layers.exists("ami-2")
    assert not layers.exists("ami-1")
    assert layers.exists("ami-base")
    layers.delete("ami-2", _nobody)


def test_an_unknown_image_is_not_found(layers: Layers, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        layers.roots("ami-none")
    with pytest.raises(NotFoundError):
        layers.create("ami-1", "ami-none", _upper(tmp_path))
    assert not layers.exists("ami-1")


def test_a_console_keeps_its_end_and_stays_bounded(tmp_path: Path) -> None:
    log = console.Console(tmp_path / "console.log")
    assert log.tail() == ""
    for number in range(50):
        log.append(f"{number:05d}\r\n".encode() * 1000)
        assert (tmp_path / "console.log").stat().st_size <= 4 * console.KEEP_BYTES
    assert log.tail().endswith("00049\n")
    assert len(log.tail()) <= console.KEEP_BYTES


def test_a_terminal_is_read_until_its_other_end_is_closed(tmp_path: Path) -> None:
    master, slave = os.openpty()
    os.close(slave)
    reader = console.ConsoleReader()
    log = console.Console(tmp_path / "console.log")
    kept = reader.attach(master, log)
    os.write(kept, b"first\n")
    os.write(kept, b"second\n")
    os.close(kept)
    deadline = time.monotonic() + 10
    while "second\n" not in log.tail() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.tail() == "first\nsecond\n"


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    with (
        system.hold(path),
        pytest.raises(LocalCloudError, match="another process holds"),
        system.hold(path, wait=False),
    ):
        pass
    assert not path.exists()
    with system.hold(path, wait=False):
        assert path.exists()


def test_waiting_for_a_lock_survives_the_removal_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[int] = []

    def enter(number: int) -> None:
        with system.hold(path):
            order.append(number)

    with system.hold(path):
        threads = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        order.append(-1)
    for thread in threads:
        thread.join(10)
    assert order[0] == -1
    assert sorted(order[1:]) == list(range(8))
    assert not path.exists()


def test_a_process_is_known_by_its_pid_and_start(tmp_path: Path) -> None:
    assert system.start_time(os.getpid()) == system.start_time(os.getpid())
    assert system.start_time(2**22 + 1) is None


def test_a_failing_command_is_told_with_its_output() -> None:
    with pytest.raises(LocalCloudError, match="failed with code 3: so it is"):
        system.run(["sh", "-c", "echo so it is >&2; exit 3"])
    with pytest.raises(LocalCloudError, match="not installed"):
        system.run(["no-such-command-here"])
    with pytest.raises(LocalCloudError, match="did not end within"):
        system.run(["sleep", "5"], timeout=0.05)


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    system.write_atomically(path, "one", mode=0o600)
    system.write_atomically(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_the_base_can_format_volumes() -> None:
    assert "e2fsprogs" in base_files.PACKAGES


def test_a_layer_that_is_missing_on_disk_is_named_with_its_cure(layers: Layers, tmp_path: Path) -> None:
    layers.create("ami-1", "ami-base", _upper(tmp_path))
    layers.create("ami-2", "ami-1", _upper(tmp_path))
    assert layers.damaged() == {}
    shutil.rmtree(tmp_path / "layers" / "ami-1" / "root")
    with pytest.raises(LocalCloudError, match="layer of the image ami-1, which ami-2 stands on, is missing") as caught:
        layers.roots("ami-2")
    assert "hcluster ami bake" in caught.value.hint
    assert set(layers.damaged()) == {"ami-1", "ami-2"}
    shutil.rmtree(tmp_path / "layers" / "ami-1")
    assert set(layers.damaged()) == {"ami-2"}
    layers.delete("ami-2", _nobody)
    assert not layers.exists("ami-2"), "what is damaged can still be removed"


def test_a_layer_that_a_kill_cut_off_is_removed(layers: Layers, tmp_path: Path) -> None:
    half = tmp_path / "layers" / ".ami-3.new" / "root"
    half.mkdir(parents=True)
    layers.create("ami-1", "ami-base", _upper(tmp_path))
    layers.sweep()
    assert not half.parent.exists()
    assert layers.exists("ami-1")


def test_a_base_whose_root_is_gone_is_built_again(tmp_path: Path) -> None:
    folder = tmp_path / "base" / ("a" * 16)
    (folder / "root/etc").mkdir(parents=True)
    (folder / "image.json").write_text('{"digest": "%s", "built": "20261101"}' % ("a" * 64))
    assert base_image.find(tmp_path, "a" * 64) is not None
    shutil.rmtree(folder / "root")
    assert base_image.find(tmp_path, "a" * 64) is None


def _base(cache: Path, name: str, used: float) -> Path:
    folder = cache / "base" / name
    (folder / "root" / "etc").mkdir(parents=True)
    (folder / "image.json").write_text("{}")
    os.utime(folder, (used, used))
    return folder


def test_bases_go_that_no_cloud_needs_and_nobody_used_of_late(tmp_path: Path) -> None:
    now, day = 1_000_000_000.0, 86400.0
    cache, clouds = tmp_path / "cache", tmp_path / "local"
    gone, needed, young = (
        _base(cache, name, now - age * day) for name, age in (("gone", 2), ("needed", 3), ("young", 0.5))
    )
    layers = Layers(clouds / "demo" / "layers")
    layers.register_base("ami-1", needed / "root")
    assert base_image.prune(cache, clouds, now) == [gone]
    assert not gone.exists()
    assert (needed / "root" / "etc").is_dir()
    assert (young / "root" / "etc").is_dir()
    assert sorted(path.name for path in (cache / "base").iterdir()) == ["needed", "young"]


def test_no_base_goes_while_nobody_knows_who_needs_it(tmp_path: Path) -> None:
    base = _base(tmp_path / "cache", "old", 0)
    record = tmp_path / "local" / "demo" / "layers" / "ami-1" / "layer.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert base_image.prune(tmp_path / "cache", tmp_path / "local", 1e9) == []
    record.unlink()
    with system.hold(base.with_name("old.lock")):
        assert base_image.prune(tmp_path / "cache", tmp_path / "local", 1e9) == []
    assert base_image.prune(tmp_path / "cache", tmp_path / "local", 1e9) == [base]
