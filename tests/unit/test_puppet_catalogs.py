"""What Puppet would write on nodes of each role."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent
PUPPET = HERE.parents[1] / "puppet"
OWN = "thrift://ip-10-0-0-7.ec2.internal:9083"
VOLUME = "vol-0123456789abcdef0"
METASTORE = {"mariadb", "hive-metastore"}
"""The units that a bake tries, too."""
KEEPS = {"hcluster-volume-metastore", "hcluster-dump.timer", "hcluster-last-dump"}
"""What keeps the tables beyond a platform node's life."""
PASSWORD = "a'b&c"  # characters that SQL and XML treat apart

EXCLUDED = {"hdfs": ["10.0.0.5", "10.0.0.6"], "yarn": ["ip-10-0-0-5.ec2.internal"]}

pytestmark = pytest.mark.skipif(not shutil.which("puppet"), reason="needs Debian's puppet-agent")

Catalog = dict[str, dict[str, str]]


def facts(role: str, folder: Path, **more: object) -> dict[str, object]:
    values: dict[str, object] = {
        "platform": "p",
        "cluster": "c",
        "team": "t",
        "role": role,
        "bucket": "lake",
        "region": "eu-west-1",
        "s3_endpoint": "http://10.0.0.1:4566",
        "master_host": "" if role == "platform" else "ip-10-0-0-9.ec2.internal",
        "metastore_uri": "thrift://ip-10-0-0-8.ec2.internal:9083",
        "node_host": "ip-10-0-0-7.ec2.internal",
        "node_ip": "10.0.0.7",
        "memory_mib": 1536,
        "vcpus": 2,
        "workers": 2,
        "core_nodes": 2,
        "data_dirs": ["/mnt/a", "/mnt/b"],
        "site": {"core-site": {"fs.s3a.threads.max": 7}, "hdfs-site": {"dfs.replication": 1}},
        **more,
    }
    keys: dict[str, object] = {f"hcluster::{key}": value for key, value in values.items()}
    return keys | {"profile::metastore::secret": str(folder / "secret")}


def image_layer(**values: object) -> dict[str, object]:
    """The Hiera layer of an image, as `hcluster ami bake` writes it."""
    bare = {"packages": {}, "python": False, "jars": {}, "files": [], "checks": 0}
    return {f"profile::layer::{key}": value for key, value in (bare | values).items()}


LAYER = image_layer(
    image="geo",
    packages={"jq": "installed", "curl": "7.88"},
    python=True,
    jars={"a-1.jar": "ab" * 32},
    files=[{"path": "/etc/geo/deep/x", "mode": "0600"}, {"path": "/motd", "mode": "0644"}],
    checks=2,
)


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Catalog]:
    folder = tmp_path_factory.mktemp("puppet")
    (folder / "secret").write_text(PASSWORD + "\n")
    nodes = {
        "master": facts("master", folder, memory_mib=3072),
        "core": facts("core", folder),
        "task": facts("task", folder, memory_mib="much"),
        "platform": facts("platform", folder, metastore_uri=OWN, metastore_volume=VOLUME),
        "platform-address": facts("platform", folder, metastore_uri="thrift://10.0.0.7:9083", metastore_volume=VOLUME),
        "platform-bare": facts("platform", folder, metastore_uri=OWN),
        "platform-outside": facts("platform", folder) | {"profile::metastore::secret": "/nowhere"},
        # Its name begins like this node's.
        "platform-similar": facts("platform", folder, metastore_uri=f"{OWN.removesuffix(':9083')}.example.org"),
        "validate": facts("validate", folder, metastore_uri=OWN, memory_mib=3072),
        "core-disks": facts("core", folder, disks=2),
        "master-disks": facts("master", folder, memory_mib=3072, disks=1),
        "master-grown": facts("master", folder, memory_mib=3072, workers=90, core_nodes=80),
        "master-tight": facts("master", folder, memory_mib=3072, workers=1, core_nodes=1, worker_memory_mib=1536),
        "master-pair": facts("master", folder, memory_mib=3072, workers=2, core_nodes=1, worker_memory_mib=1536),
        "master-large": facts("master", folder, memory_mib=3072, workers=1, core_nodes=1, worker_memory_mib=3072),
        "master-changed": facts("master", folder, memory_mib=3072, site={"yarn-site": {"a": 1}}),
        "master-draining": facts("master", folder, memory_mib=3072, excluded=EXCLUDED),
        "image": image_layer(image="hadoop"),
        "layer": LAYER,
        "layer-bare": image_layer(image="bare"),
        "nonsense": facts("core", folder),
    }
    hiera = (PUPPET / "hiera.yaml").read_text().replace("datadir: data", f"datadir: {PUPPET / 'data'}")
    for node, values in nodes.items():
        (folder / f"{node}.yaml").write_text(json.dumps(values))
        layer = hiera.replace("/etc/hcluster", str(folder)).replace("node.yaml\n  - name", f"{node}.yaml\n  - name", 1)
        (folder / f"{node}.hiera.yaml").write_text(layer)
    command = ["ruby", str(HERE / "puppet_catalogs.rb"), str(PUPPET), str(folder / "%NODE%.hiera.yaml"), *nodes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Catalog] = json.loads(done.stdout.splitlines()[-1])
    return answer


def properties(catalog: Catalog, path: str) -> dict[str, str]:
    root = ET.fromstring(catalog[f"File[{path}]"]["content"])  # noqa: S314 - our own text
    return {item.findtext("name", ""): item.findtext("value", "") for item in root.iter("property")}


def services(catalog: Catalog) -> set[str]:
    return {ref[8:-1] for ref in catalog if ref.startswith("Service[")}


def test_each_role_runs_its_daemons_and_no_others(catalogs: dict[str, Catalog]) -> None:
    assert services(catalogs["core"]) == {"hadoop-datanode", "hadoop-nodemanager"}
    assert services(catalogs["platform"]) == METASTORE | KEEPS
    assert services(catalogs["master"]) == {
        "hadoop-namenode",
        "hadoop-resourcemanager",
        "hadoop-historyserver",
        "hive-server2",
        "hadoop-checkpoint.timer",
    }


def test_a_platform_node_whose_metastore_is_its_own_runs_it_by_name_or_address(catalogs: dict[str, Catalog]) -> None:
    assert services(catalogs["platform-address"]) == services(catalogs["platform"]) == METASTORE | KEEPS


@pytest.mark.parametrize("node", ["platform-outside", "platform-similar"])
def test_with_a_metastore_from_outside_the_platform_node_runs_and_keeps_nothing_of_one(
    catalogs: dict[str, Catalog], node: str
) -> None:
    catalog = catalogs[node]
    assert "error" not in catalog
    assert services(catalog) == set()
    assert not [ref for ref in catalog if "mysql" in ref or "mariadb" in ref or "hive-metastore" in ref]
    assert json.loads(catalog["File[/etc/hcluster/health.json]"]["content"]) == []


def test_with_a_metastore_from_outside_the_platform_node_still_tries_it_and_s3(catalogs: dict[str, Catalog]) -> None:
    catalog = catalogs["platform-outside"]
    assert (
        'uri = "thrift://ip-10-0-0-8.ec2.internal:9083"' in catalog["File[/etc/hcluster/smoke.d/metastore]"]["content"]
    )
    assert 'BUCKET = "lake"' in catalog["File[/etc/hcluster/smoke.d/s3a]"]["content"]
    assert properties(catalog, "/etc/hadoop/core-site.xml")["fs.defaultFS"] == "s3a://lake/"


def test_nodes_converge_at_times_of_their_own(catalogs: dict[str, Catalog]) -> None:
    lines = catalogs["image"]["File[/etc/systemd/system/hcluster-converge.timer]"]["content"].splitlines()
    assert {"OnUnitActiveSec=30min", "RandomizedDelaySec=10min"} <= set(lines)
    assert catalogs["image"]["Service[hcluster-converge.timer]"]["enable"] == "true"


def test_health_names_every_daemon_of_the_node(catalogs: dict[str, Catalog]) -> None:
    for role in ("master", "core", "platform", "validate"):
        checks = json.loads(catalogs[role]["File[/etc/hcluster/health.json]"]["content"])
        named = {check["unit"].removesuffix(".service") for check in checks}
        beside = {"hcluster-dump.timer", "hcluster-last-dump", "hadoop-checkpoint.timer"}
        assert named == services(catalogs[role]) - beside
        assert all(set(check) == {"name", "unit", "host", "port"} for check in checks)


def test_the_owners_properties_win_and_are_added(catalogs: dict[str, Catalog]) -> None:
    assert properties(catalogs["core"], "/etc/hadoop/hdfs-site.xml")["dfs.replication"] == "1"
    assert properties(catalogs["core"], "/etc/hadoop/core-site.xml")["fs.s3a.threads.max"] == "7"


def test_s3_is_reached_by_instance_profile_with_the_magic_committer(catalogs: dict[str, Catalog]) -> None:
    site = properties(catalogs["master"], "/etc/hadoop/core-site.xml")
    assert site["fs.s3a.aws.credentials.provider"].endswith("IAMInstanceCredentialsProvider")
    assert site["fs.s3a.endpoint"] == "http://10.0.0.1:4566"
    assert site["fs.s3a.committer.name"] == "magic"
    assert not {"fs.s3a.access.key", "fs.s3a.secret.key"} & set(site)


def test_a_small_worker_takes_two_containers(catalogs: dict[str, Catalog]) -> None:
    yarn = properties(catalogs["core"], "/etc/hadoop/yarn-site.xml")
    mapred = properties(catalogs["master"], "/etc/hadoop/mapred-site.xml")
    assert int(yarn["yarn.nodemanager.resource.memory-mb"]) == 2 * int(mapred["mapreduce.map.memory.mb"]) == 1024


def test_data_goes_to_every_disk(catalogs: dict[str, Catalog]) -> None:
    hdfs = properties(catalogs["core"], "/etc/hadoop/hdfs-site.xml")
    assert hdfs["dfs.datanode.data.dir"] == "file:///mnt/a/datanode,file:///mnt/b/datanode"


def test_the_data_of_a_node_with_disks_is_on_these_and_nothing_starts_without_them(
    catalogs: dict[str, Catalog],
) -> None:
    catalog = catalogs["core-disks"]
    hdfs, yarn = (properties(catalog, f"/etc/hadoop/{name}-site.xml") for name in ("hdfs", "yarn"))
    folders = ["/mnt/disk0/hadoop", "/mnt/disk1/hadoop"]
    assert hdfs["dfs.datanode.data.dir"] == ",".join(f"file://{folder}/datanode" for folder in folders)
    assert yarn["yarn.nodemanager.local-dirs"] == ",".join(f"{folder}/yarn" for folder in folders)
    for folder in folders:
        assert catalog[f"File[{folder}]"]["group"] == "hadoop"
    for unit in ("hadoop-datanode", "hadoop-nodemanager"):
        lines = catalog[f"File[/etc/systemd/system/{unit}.service]"]["content"].splitlines()
        assert "Requires=hcluster-disks.service" in lines
    mount = catalog["File[/etc/systemd/system/hcluster-disks.service]"]["content"]
    assert "ExecStart=/usr/local/lib/hcluster/disks-mount 2 /mnt/disk hcluster-data 120" in mount
    assert "start" not in catalog["Service[hcluster-disks]"], "it is waited for"
    assert "hcluster-disks" not in str(catalogs["core"])
    named = properties(catalogs["master-disks"], "/etc/hadoop/hdfs-site.xml")["dfs.namenode.name.dir"]
    assert named == "file:///mnt/disk0/hadoop/namenode"


def test_only_the_metastore_reads_the_password_of_its_database(catalogs: dict[str, Catalog]) -> None:
    site = catalogs["platform"]["File[/etc/hive-metastore/metastore-site.xml]"]
    assert (site["owner"], site["mode"]) == ("hive", "0400")
    assert (
        properties(catalogs["platform"], "/etc/hive-metastore/metastore-site.xml")[
            "javax.jdo.option.ConnectionPassword"
        ]
        == PASSWORD
    )
    texts = [
        resource.get("content", "") for ref, resource in catalogs["platform"].items() if "metastore-site" not in ref
    ]
    assert not any(PASSWORD in text for text in texts)


def test_no_file_is_world_writable_and_none_is_backed_up(catalogs: dict[str, Catalog]) -> None:
    for role in ("master", "core", "platform"):
        files = {ref: resource for ref, resource in catalogs[role].items() if ref.startswith("File[")}
        assert all(resource.get("backup", "false") == "false" for resource in files.values())
        assert not [ref for ref, resource in files.items() if int(resource.get("mode", "0")[-1]) & 2]


def test_a_wrong_fact_of_the_node_is_refused(catalogs: dict[str, Catalog]) -> None:
    assert "memory_mib" in str(catalogs["task"]["error"])


def test_an_unknown_role_is_refused(catalogs: dict[str, Catalog]) -> None:
    assert "not one of master, core" in str(catalogs["nonsense"]["error"])


def test_a_platform_node_without_its_volume_is_refused_before_anything_is_made(catalogs: dict[str, Catalog]) -> None:
    assert "has no volume for the metastore" in str(catalogs["platform-bare"]["error"])


def test_the_volume_is_told_by_its_id_and_mounted_where_the_database_is(catalogs: dict[str, Catalog]) -> None:
    unit = catalogs["platform"]["File[/etc/systemd/system/hcluster-volume-metastore.service]"]["content"]
    device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
    assert f"ExecStart=/usr/local/lib/hcluster/volume-mount {device} /var/lib/mysql hcluster-meta 240" in unit
    assert ".device" not in unit, "a container has no units of devices"
    options = catalogs["platform"]["File[/etc/mysql/mariadb.conf.d/90-hcluster.cnf]"]["content"]
    assert "datadir = /var/lib/mysql/data\n" in options


def test_the_database_never_starts_without_its_volume(catalogs: dict[str, Catalog]) -> None:
    drop_in = "File[/etc/systemd/system/mariadb.service.d/hcluster.conf]"
    lines = catalogs["platform"][drop_in]["content"].splitlines()
    assert "Requires=hcluster-volume-metastore.service" in lines
    assert "After=hcluster-volume-metastore.service" in lines
    assert "RequiresMountsFor=/var/lib/mysql" in lines
    assert "ExecStartPre=+/usr/local/lib/hcluster/mariadb-init /var/lib/mysql" in lines
    assert "hcluster-volume" not in catalogs["validate"][drop_in]["content"]


def test_a_bake_has_neither_volume_nor_dumps(catalogs: dict[str, Catalog]) -> None:
    assert not services(catalogs["validate"]) & KEEPS
    assert "fetch-dump" not in catalogs["validate"]["File[/usr/local/lib/hcluster/metastore-database]"]["content"]
    assert "fetch-dump" in catalogs["platform"]["File[/usr/local/lib/hcluster/metastore-database]"]["content"]


def test_dumps_are_made_every_hour_at_times_of_their_own_and_when_the_node_ends(catalogs: dict[str, Catalog]) -> None:
    catalog = catalogs["platform"]
    timer = catalog["File[/etc/systemd/system/hcluster-dump.timer]"]["content"].splitlines()
    assert {"OnUnitActiveSec=1h", "RandomizedDelaySec=10min"} <= set(timer)
    link = catalog["File[/etc/systemd/system/multi-user.target.wants/hcluster-last-dump.service]"]
    assert link["target"] == "/etc/systemd/system/hcluster-last-dump.service"


def test_a_dump_ends_with_the_version_so_that_half_of_one_has_none(catalogs: dict[str, Catalog]) -> None:
    lines = catalogs["platform"]["File[/usr/local/lib/hcluster/dump]"]["content"].splitlines()
    first = lines.index("  dump --ignore-table=metastore.VERSION metastore &&")
    assert lines[first + 1].strip() == "dump metastore VERSION"


def test_the_edit_log_of_a_master_is_merged_beside_the_running_namenode(catalogs: dict[str, Catalog]) -> None:
    unit = catalogs["master"]["File[/etc/systemd/system/hadoop-checkpoint.service]"]["content"]
    assert "User=hdfs" in unit
    assert "SecondaryNameNode -checkpoint" in unit
    heap = (
        catalogs["master"]["File[/etc/systemd/system/hadoop-namenode.service]"]["content"].split("-Xmx")[1].split()[0]
    )
    assert f"-Xmx{heap}" in unit, "it holds what the NameNode holds"
    site = properties(catalogs["master"], "/etc/hadoop/hdfs-site.xml")
    assert site["dfs.namenode.checkpoint.dir"] == "file:///mnt/a/checkpoint"


def test_hiveserver2_reads_the_logging_to_which_it_adds_the_log_of_each_operation(catalogs: dict[str, Catalog]) -> None:
    site = properties(catalogs["master"], "/etc/hive/hive-site.xml")
    assert f"File[{site['hive.log4j.file']}]" in catalogs["master"]
    assert site["hive.async.log.enabled"] == "false"


ARCHIVES = {"hadoop", "tez", "hive", "metastore"}


def unit_of(catalog: Catalog, name: str) -> str:
    return catalog[f"File[/etc/systemd/system/{name}.service]"]["content"]


def archive_of(flags: str) -> str:
    """NAME of the class-data archive in the flags of a JVM."""
    (found,) = re.findall(r"-XX:SharedArchiveFile=/opt/hadoop/archives/([a-z]+)\.jsa(?= |$)", flags)
    return str(found)


def test_every_daemon_starts_with_the_archive_of_its_class_path(catalogs: dict[str, Catalog]) -> None:
    units = {"hadoop-datanode", "hadoop-nodemanager", "hive-metastore"}
    units |= services(catalogs["master"]) - {"hadoop-checkpoint.timer"}
    for unit in units:
        flags = " ".join(unit_of(catalogs["validate"], unit).replace("\\\n", "").split())
        (classpath,) = re.findall(r" -cp (\S+) ", flags)
        assert classpath.split(":")[0] == f"/opt/hadoop/lib/{archive_of(flags)}.jar", unit


def test_containers_start_with_the_archive_of_their_class_path(catalogs: dict[str, Catalog]) -> None:
    mapred = properties(catalogs["master"], "/etc/hadoop/mapred-site.xml")
    first = mapred["mapreduce.application.classpath"].split(",")[0]
    for name in ("mapreduce.admin.map.child.java.opts", "mapreduce.admin.reduce.child.java.opts"):
        assert first == f"/opt/hadoop/lib/{archive_of(mapred[name])}.jar"
        assert mapred[name].endswith(" -cp ${CLASSPATH#$PWD:}:$PWD"), "the jar before the container's own folder"
        assert mapred["yarn.app.mapreduce.am.admin-command-opts"] == mapred[name]
    tez = properties(catalogs["master"], "/etc/tez/tez-site.xml")
    first = tez["tez.cluster.additional.classpath.prefix"].split(":")[0]
    for name in ("tez.am.launch.cluster-default.cmd-opts", "tez.task.launch.cluster-default.cmd-opts"):
        assert first == f"/opt/hadoop/lib/{archive_of(tez[name])}.jar"


def test_commands_start_with_the_archive_of_their_class_path(catalogs: dict[str, Catalog]) -> None:
    flags = catalogs["core"]["File[/etc/hadoop/client.flags]"]["content"].split()
    assert archive_of(" ".join(flags)) == "hadoop"
    assert '-cp "$home/lib/hadoop.jar' in (PUPPET / "modules/hadoop/files/command.sh").read_text()


def test_the_image_has_a_class_path_for_each_archive(catalogs: dict[str, Catalog]) -> None:
    command = catalogs["image"]["Exec[write the class paths]"]["command"]
    assert {name for name, _ in re.findall(r'"([a-z]+)=([^"]+)"', command)} == ARCHIVES


def test_a_bake_asks_hive_and_a_node_does_not(catalogs: dict[str, Catalog]) -> None:
    asked = [name for name, catalog in catalogs.items() if "File[/etc/hcluster/smoke.d/hive]" in catalog]
    assert asked == ["validate"]
    assert 'TSocket("10.0.0.7", 10000)' in catalogs["validate"]["File[/etc/hcluster/smoke.d/hive]"]["content"]


def test_a_layer_installs_what_its_image_asks_for_and_nothing_of_hadoop(catalogs: dict[str, Catalog]) -> None:
    found = catalogs["layer"]
    assert found["Package[curl]"]["ensure"] == "7.88"
    assert found["Package[jq]"]["ensure"] == "installed"
    assert found["Hcluster_node::Tree[/opt/hcluster/python/geo]"]["archive"] == "/var/cache/hcluster/python.tar.zst"
    jar = found["File[/opt/hcluster/jars/a-1.jar]"]
    assert (jar["checksum"], jar["checksum_value"]) == ("sha256", "ab" * 32)
    assert found["File[/etc/geo/deep/x]"]["source"] == "file:///var/cache/hcluster/files/0"
    assert found["File[/etc/geo/deep/x]"]["mode"] == "0600"
    assert {ref for ref in found if ref.startswith("Exec[folder")} == {"Exec[folder /etc/geo/deep]"}
    checks = sorted(ref for ref in found if "/checks/" in ref)
    assert checks == [f"File[/usr/local/lib/hcluster/checks/geo-00{number}]" for number in (0, 1)]
    assert not [ref for ref in found if "hadoop" in ref or ref.startswith("Service[")]


def test_a_bare_layer_is_nothing_and_the_hadoop_image_has_all_else(catalogs: dict[str, Catalog]) -> None:
    assert {ref for ref in catalogs["layer-bare"] if not ref.startswith("Stage[")} == set()
    assert "Hcluster_node::Tree[/opt/hadoop]" in catalogs["image"]
    assert not [ref for ref in catalogs["image"] if "/opt/hcluster/jars" in ref or "/checks" in ref]


def test_jars_of_layers_come_last_on_every_class_path_and_on_none_of_hdfs_and_yarn(
    catalogs: dict[str, Catalog],
) -> None:
    jars = "/opt/hcluster/jars/*"
    master = catalogs["master"]
    for path, name in (("mapred", "mapreduce.application.classpath"), ("yarn", "yarn.application.classpath")):
        assert properties(master, f"/etc/hadoop/{path}-site.xml")[name].split(",")[-1] == jars
    prefix = properties(master, "/etc/tez/tez-site.xml")["tez.cluster.additional.classpath.prefix"]
    assert prefix.split(":")[-1] == jars

    def classpath(unit: str) -> list[str]:
        text = master[f"File[/etc/systemd/system/{unit}.service]"]["content"]
        return text.split("-cp ", 1)[1].split()[0].split(":")

    assert classpath("hive-server2")[-1] == jars
    for unit in ("hadoop-namenode", "hadoop-resourcemanager", "hadoop-historyserver"):
        assert jars not in classpath(unit)


def test_workers_tell_where_they_are_taken_in_and_masters_join_nobody(catalogs: dict[str, Catalog]) -> None:
    def joins(role: str) -> dict[str, dict[str, str]]:
        return {item["name"]: item for item in json.loads(catalogs[role]["File[/etc/hcluster/joins.json]"]["content"])}

    assert joins("core") == {
        "yarn": {
            "name": "yarn",
            "unit": "hadoop-nodemanager.service",
            "url": "http://ip-10-0-0-9.ec2.internal:8088/ws/v1/cluster/nodes/ip-10-0-0-7.ec2.internal:8041",
            "text": '"state":"RUNNING"',
        },
        "hdfs": {
            "name": "hdfs",
            "unit": "hadoop-datanode.service",
            "url": "http://10.0.0.7:9864/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo",
            "text": '\\"ActorState\\":\\"RUNNING\\"',
        },
    }
    assert joins("master") == joins("platform") == {}


def test_daemons_start_before_what_nobody_waits_for_is_written(catalogs: dict[str, Catalog]) -> None:
    """HiveServer2 takes longest and needs the NameNode; what tells health is read after the run."""
    order = [
        "Daemon::Java[hadoop-namenode]",
        "Daemon::Java[hadoop-resourcemanager]",
        "Class[Tez]",
        "Class[Hive]",
        "Daemon::Java[hadoop-historyserver]",
        "Class[Hcluster_node::Health]",
    ]
    before = catalogs["master"]["Daemon::Java[hadoop-namenode]"]["before"]
    assert order[1] in before
    for daemon, after in (("resourcemanager", order[2]), ("historyserver", order[5])):
        assert after in catalogs["master"][f"Daemon::Java[hadoop-{daemon}]"]["before"]
    assert order[5] in catalogs["core"]["Daemon::Java[hadoop-datanode]"]["before"]


SETTINGS = ("hdfs", "yarn", "tez", "hive")


def settings(catalog: Catalog) -> dict[str, str]:
    """What the daemons of a node are restarted for."""
    files = {name: f"File[/etc/hcluster/daemon/{name}.settings]" for name in SETTINGS}
    return {name: catalog[ref]["content"] for name, ref in files.items() if ref in catalog}


def test_what_follows_from_the_clusters_size_is_written_and_restarts_nothing(catalogs: dict[str, Catalog]) -> None:
    small, grown = catalogs["master"], catalogs["master-grown"]
    assert set(settings(small)) == set(SETTINGS)
    assert settings(small) == settings(grown)
    for path, name in (
        ("/etc/hadoop/hdfs-site.xml", "dfs.namenode.handler.count"),
        ("/etc/hadoop/yarn-site.xml", "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms"),
        ("/etc/hive/hive-site.xml", "hive.server2.tez.sessions.per.default.queue"),
        ("/etc/tez/tez-site.xml", "tez.am.am-rm.heartbeat.interval-ms.max"),
    ):
        assert properties(small, path)[name] != properties(grown, path)[name], name


SESSIONS, IDLE = "hive.server2.tez.initialize.default.sessions", "tez.session.am.dag.submit.timeout.secs"


@pytest.mark.parametrize(
    ("node", "warm", "idle"),
    [
        ("master-tight", "false", "30"),
        ("master-pair", "true", "600"),
        ("master-large", "true", "600"),
        ("validate", "false", "600"),
    ],
)
def test_hive_keeps_a_session_warm_where_yarn_has_room_for_a_job_beside_it(
    catalogs: dict[str, Catalog], node: str, warm: str, idle: str
) -> None:
    assert properties(catalogs[node], "/etc/hive/hive-site.xml")[SESSIONS] == warm
    assert properties(catalogs[node], "/etc/tez/tez-site.xml")[IDLE] == idle


def test_hives_page_is_on_the_masters_own_address(catalogs: dict[str, Catalog]) -> None:
    hive = properties(catalogs["master"], "/etc/hive/hive-site.xml")
    assert (hive["hive.server2.webui.host"], hive["hive.server2.webui.port"]) == ("10.0.0.7", "10002")
    tez = properties(catalogs["master"], "/etc/tez/tez-site.xml")
    assert tez["tez.tez-ui.history-url.base"] == "http://ip-10-0-0-9.ec2.internal:10002/hiveserver2.jsp"


def test_a_setting_of_the_owner_restarts_what_reads_it(catalogs: dict[str, Catalog]) -> None:
    before, after = settings(catalogs["master"]), settings(catalogs["master-changed"])
    # The other one sets properties of core-site and hdfs-site, which this one does not.
    assert before["yarn"] != after["yarn"]
    assert (before["tez"], before["hive"]) == (after["tez"], after["hive"])


def test_a_master_keeps_the_lists_of_what_it_drains_and_restarts_nothing_for_them(
    catalogs: dict[str, Catalog],
) -> None:
    catalog = catalogs["master-draining"]
    assert catalog["File[/etc/hadoop/hdfs.exclude]"]["content"] == "10.0.0.5\n10.0.0.6\n"
    assert catalog["File[/etc/hadoop/yarn.exclude]"]["content"] == "ip-10-0-0-5.ec2.internal\n"
    assert catalogs["master"]["File[/etc/hadoop/yarn.exclude]"]["content"] == ""
    assert settings(catalog) == settings(catalogs["master"])
    assert properties(catalog, "/etc/hadoop/hdfs-site.xml")["dfs.hosts.exclude"] == "/etc/hadoop/hdfs.exclude"
    assert "File[/etc/hadoop/yarn.exclude]" not in catalogs["core"]


def test_the_service_that_hears_is_enabled_in_the_image(catalogs: dict[str, Catalog]) -> None:
    assert catalogs["image"]["Service[hcluster-watch.service]"]["enable"] == "true"
    unit = catalogs["image"]["File[/etc/systemd/system/hcluster-watch.service]"]["content"]
    assert "ExecStart=/usr/local/lib/hcluster/watch 5\n" in unit


def test_a_machine_makes_the_one_host_key_that_its_sshd_uses(catalogs: dict[str, Catalog]) -> None:
    """A key of RSA costs up to two seconds of CPU, and everything on a node waits for sshd."""
    image = catalogs["image"]
    assert (
        "HostKey /etc/ssh/ssh_host_ed25519_key\n" in image["File[/etc/ssh/sshd_config.d/10-hcluster.conf]"]["content"]
    )
    unit = image["File[/etc/systemd/system/ssh.service.d/hcluster.conf]"]["content"]
    made = [line for line in unit.splitlines() if "ssh-keygen" in line]
    assert len(made) == 1
    assert made[0].endswith("""-t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'""")
