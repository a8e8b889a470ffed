"""The whole line on real nodes: two clusters of two teams, one metastore, MapReduce, Hive, and every read verb."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import BUCKET, HCLUSTER, Cloud, Hcluster, spec, wait_until
from tests.cluster.reaching import fetched, memory_of, proxied, started
from tests.unit.screen import Screen

BIG = 2 << 30
COPY_MEMORY = 300 << 20
"""No copy needs more, however big the file; the interpreter with all that it imports takes about a third."""
STRANGE = os.fsdecode(b'-it\'s "two" $words\n\xff *.csv')
LINES = [f"{number},{name}" for number, name in enumerate(["ant", "bee", "cat", "bee", "cat", "cat"] * 50)]


@pytest.fixture(scope="module")
def first(hcluster: Hcluster, platform: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Cluster `one` of team analytics: a master and two spot workers."""
    assert platform["metastore_uri"].startswith("thrift://")
    folder = tmp_path_factory.mktemp("one")
    hcluster("up", spec(folder, "one", tags={"project": "tests"}))
    data = folder / "animals.csv"
    data.write_text("".join(f"{line}\n" for line in LINES))
    hcluster("data", "put", data, "data/animals/")
    yield "one"
    hcluster("down", "one", "--yes")


def test_all_nodes_are_ready_and_tagged(hcluster: Hcluster, cloud: Cloud, first: str) -> None:
    shown = hcluster.json("show", first)
    assert shown["state"] == "ready"
    assert sorted(node["group"] for node in shown["nodes"]) == ["core", "core", "master"]
    filters = [{"Name": "tag:hcluster:cluster", "Values": [first]}]
    found = cloud.client("ec2").describe_instances(Filters=filters)["Reservations"]
    every = [node for reservation in found for node in reservation["Instances"]]
    nodes = [node for node in every if node["State"]["Name"] == "running"]
    assert len(nodes) == 3
    for node in nodes:
        tags = {tag["Key"]: tag["Value"] for tag in node["Tags"]}
        assert tags["hcluster:team"] == "analytics"
        assert tags["hcluster:owner"] == "tester"
        assert tags["project"] == "tests"
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert (node.get("InstanceLifecycle") == "spot") == (tags["hcluster:group"] == "core")


def test_the_launch_tells_its_phases_and_workers_were_ready_once_their_master_knew_them(
    hcluster: Hcluster, first: str
) -> None:
    found = hcluster.json("show", first, "--timings")
    master, *workers = found["nodes"]
    for node in found["nodes"]:
        names = [span["name"] for span in node["phases"]]
        assert names[:3] == ["launch", "boot", "identity"]
        assert {"puppet", "daemons"} <= set(names)
        assert all(before["end"] == after["begin"] for before, after in pairwise(node["phases"]))
        assert node["phases"][-1]["end"] == node["ready"]
    beside = {node["group"]: {span["name"] for span in node["beside"]} for node in found["nodes"]}
    assert beside["master"] >= {"namenode", "resourcemanager", "hive-server2", "smoke s3a", "smoke metastore"}
    assert beside["core"] == {"datanode", "nodemanager", "joined hdfs", "joined yarn"}
    assert found["ready"] == max(node["ready"] for node in [master, *workers])
    assert "▒" in hcluster("show", first, "--timings").stdout


def test_the_beginning_of_its_name_is_enough_to_look_and_nothing_is_lost_unasked(
    hcluster: Hcluster, first: str
) -> None:
    assert hcluster.json("show", first[:-1])["name"] == first
    assert "[nobody-to-ask]" in hcluster("down", first, code=2).stderr


def test_systemd_is_content_and_a_second_puppet_run_changes_nothing(hcluster: Hcluster, first: str) -> None:
    for cluster in (first, "platform"):
        states = hcluster.json("exec", cluster, "--", "systemctl", "is-system-running")
        assert {node["stdout"].strip() for node in states} == {"running"}
        applied = hcluster.json("exec", cluster, "--", "sudo", "hcluster-node", "converge")
        assert {node["exit_code"] for node in applied} == {0}
        seen = hcluster.json("exec", cluster, "--", "sudo", "cat", "/var/lib/hcluster/converged")
        assert {json.loads(node["stdout"])["puppet_exit"] for node in seen} == {0}


JVMS = """
for exe in /proc/[0-9]*/exe; do
  case $(readlink $exe) in */bin/java) ;; *) continue ;; esac
  main=$(tr '\\0' '\\n' <${exe%exe}cmdline | grep -E '^org[.]apache[.]' | head -n 1)
  grep -q '/opt/hadoop/archives/[a-z]*[.]jsa$' ${exe%exe}maps && echo "${main##*.} mapped" || echo "${main##*.} without"
done
"""
"""Of each JVM of a node, containers too: its main class, and whether an archive is in its memory."""


def test_every_jvm_has_its_class_data_archive_mapped(hcluster: Hcluster, first: str) -> None:
    def seen() -> set[str]:
        told = [
            node for name in (first, "platform") for node in hcluster.json("exec", name, "--", "sudo", "sh", "-c", JVMS)
        ]
        return {line for node in told for line in node["stdout"].splitlines()}

    # HiveServer2 begins a session of Tez, thus a container, when it serves.
    wait_until("a container of Tez has its archive", lambda: "DAGAppMaster mapped" in seen(), timeout=180)
    workers, masters = {"DataNode", "NodeManager"}, {"NameNode", "ResourceManager", "JobHistoryServer", "HiveServer2"}
    daemons = workers | masters | {"HiveMetaStore"}
    found = {line for line in seen() if line.split()[0] in daemons}
    assert found == {f"{name} mapped" for name in daemons}


def test_a_daemon_without_its_archive_starts_and_the_node_names_it(hcluster: Hcluster, first: str) -> None:
    archive = "/opt/hadoop/archives/hadoop.jsa"
    restart = "systemctl restart hadoop-datanode && hcluster-node health >/dev/null; hcluster-node archives; echo $?"
    node = hcluster.json("nodes", first)[-1]["instance"]["id"]

    def on_node(script: str) -> list[str]:
        (told,) = hcluster.json("exec", first, "--instance", node, "--", "sudo", "sh", "-c", script)
        return str(told["stdout"]).splitlines()

    try:
        told = on_node(f"mv {archive} {archive}.gone && {restart}")
        # The other one runs from it still, and will miss it at its next start.
        lost = [f"hadoop-{daemon}.service: {archive} is missing" for daemon in ("datanode", "nodemanager")]
        assert told == [*lost, "1"]
    finally:
        on_node(f"mv {archive}.gone {archive}")
    assert on_node(restart) == ["0"]


OOM_KILLS = """
find /sys/fs/cgroup -name memory.oom_control -o -name memory.events |
  xargs -r awk '$1 == "oom_kill" {n += $2} END {print n+0}'
journalctl --no-pager -q -b | grep -ciE 'oom-kil[l]|out of memor[y]' || true
"""
"""Kills counted in every control group of the node, whichever version, and what systemd and the kernel said of them."""


def test_nothing_was_killed_for_want_of_memory(hcluster: Hcluster, first: str) -> None:
    for cluster in (first, "platform"):
        for node in hcluster.json("exec", cluster, "--", "sudo", "sh", "-c", OOM_KILLS):
            assert node["stdout"].split() == ["0", "0"], node


def test_the_converge_timer_waits_with_a_splay_and_its_unit_succeeds(hcluster: Hcluster, first: str) -> None:
    show = "systemctl is-active hcluster-converge.timer; systemctl cat hcluster-converge.timer"
    for node in hcluster.json("exec", first, "--", "sh", "-c", show):
        assert node["stdout"].startswith("active")
        assert "RandomizedDelaySec=" in node["stdout"]
    started = hcluster.json("exec", first, "--", "sudo", "systemctl", "start", "hcluster-converge.service")
    assert {node["exit_code"] for node in started} == {0}


def test_a_pushed_key_opens_a_shell_on_the_master(hcluster: Hcluster, first: str) -> None:
    said = hcluster.terminal("echo answer-$((40 + 2)); hostname -I; exit\n", "ssh", first)
    master = hcluster.json("nodes", first)[0]["instance"]["private_ip"]
    assert "answer-42" in said
    assert master in said


def test_mapreduce_over_s3a_commits_with_the_magic_committer_on_both_workers(hcluster: Hcluster, first: str) -> None:
    split = "mapreduce.input.fileinputformat.split.maxsize=512"
    source, target = f"s3a://{BUCKET}/data/animals/animals.csv", f"s3a://{BUCKET}/tmp/words"
    # Under this option a JVM that cannot use its class-data archive ends.
    options = ("mapreduce.map.java.opts", "mapreduce.reduce.java.opts", "yarn.app.mapreduce.am.command-opts")
    strict = [word for option in options for word in ("-D", f"{option}=-Xmx256m -Xshare:on")]
    words = (
        "job",
        "run",
        first,
        "--jar",
        "examples",
        "--class",
        "wordcount",
        "--",
        "-D",
        split,
        *strict,
        source,
        target,
    )
    answer = hcluster.json(*words)
    (application,) = answer["applications"]
    assert application.startswith("application_")
    success = json.loads(hcluster("data", "cat", "tmp/words/_SUCCESS").stdout)
    assert success["committer"] == "magic"
    container = application.replace("application", "container")
    count = f"sudo grep -o '{container}_[0-9_]*' /var/log/hadoop/hadoop-nodemanager.log | sort -u | wc -l"
    ran = hcluster.json("exec", first, "--group", "core", "--", "sh", "-c", count)
    assert all(int(node["stdout"]) > 0 for node in ran)


def test_a_failing_job_ends_with_its_own_exit_code_and_shows_its_logs(hcluster: Hcluster, first: str) -> None:
    options = ("-D", "mapreduce.map.java.opts=-Xnosuchoption", "-D", "mapreduce.map.maxattempts=1")
    source, target = f"s3a://{BUCKET}/data/animals/animals.csv", f"s3a://{BUCKET}/tmp/nothing"
    words = ("job", "run", first, "--jar", "examples", "--class", "wordcount", "--", *options, source, target)
    failed = hcluster(*words, code=1)
    assert "application_" in failed.stderr
    assert "Unrecognized option: -Xnosuchoption" in failed.stderr


def test_hive_writes_a_table_to_s3_and_says_what_is_wrong_with_a_statement(hcluster: Hcluster, first: str) -> None:
    location = f"s3a://{BUCKET}/data/animals"
    hcluster(
        "sql",
        first,
        "set hive.tez.java.opts=-XX:+UseSerialGC -Xshare:on; "
        "create external table animals (id int, name string) row format delimited fields terminated by ',' "
        f"location '{location}'; create table counts stored as orc as "
        "select name, count(*) as n from animals group by name",
    )
    rows = hcluster("sql", first, "select name, n from counts order by n desc", "--format", "csv").stdout
    assert rows.split() == ["name,n", "cat,150", "bee,100", "ant,50"]
    described = hcluster("sql", first, "describe formatted counts", "--format", "csv").stdout
    assert f"s3a://{BUCKET}/warehouse/" in described
    wrong = hcluster("sql", first, "select nosuch from animals", code=1)
    assert "nosuch" in wrong.stderr


MILLION = (
    "select a.p * 1000 + b.p as n, concat('row-', a.p, '-', b.p) as name from "
    "(select posexplode(split(space(999), ' ')) as (p, x)) a cross join "
    "(select posexplode(split(space(999), ' ')) as (p, x)) b"
)


def test_a_million_rows_go_to_a_reader_that_leaves(hcluster: Hcluster, first: str) -> None:
    command = [str(HCLUSTER), "sql", first, MILLION, "--format", "csv"]
    process = subprocess.Popen(
        command, env=hcluster.variables(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as stream:
        assert [stream.readline() for _ in range(2)] == ["n,name\n", "0,row-0-0\n"]
    with process.stderr as stream:
        told = stream.read()
    assert process.wait(timeout=120) == 0, told
    assert "rror" not in told


def test_hives_session_is_listed_killed_and_its_logs_are_read(hcluster: Hcluster, first: str) -> None:
    (session, *_) = [one for one in hcluster.json("job", "list", first, "--user", "hive") if one["type"] == "TEZ"]
    assert session["state"] == "running"
    running = hcluster.json("job", "logs", first, session["id"], "--tail", "5")
    assert {one["container"].split("_")[1:3] == session["id"].split("_")[1:3] for one in running} == {True}
    (killed,) = hcluster.json("job", "kill", first, session["id"], "--yes")
    assert killed == {"id": session["id"], "was": "running", "state": "killed"}
    (again,) = hcluster.json("job", "kill", first, session["id"], "--yes")
    assert (again["was"], again["state"]) == ("killed", "killed")
    collected = hcluster("job", "logs", first, session["id"], "--file", "syslog", "--tail", "3").stdout
    assert collected.strip()
    assert "did you mean" in hcluster("job", "logs", first, f"{session['id'][:-4]}9999", code=1).stderr
    assert session["id"] in {one["id"] for one in hcluster.json("job", "list", first, "--state", "killed")}


def test_a_prompt_runs_statements_in_one_session_on_a_terminal(hcluster: Hcluster, first: str, tmp_path: Path) -> None:
    environment = {**hcluster.variables(), "TERM": "xterm", "PAGER": "cat", "PROMPT_TOOLKIT_NO_CPR": "1"}
    with Screen([str(HCLUSTER), "sql", first], environment, tmp_path) as screen:
        screen.until(f"{first}:default>")
        screen.send("use default;\r")
        screen.until(f"{first}:default>")
        screen.send("show tables;\r")
        screen.until("animals")
        screen.until(f"{first}:default>")
        screen.send("\\d animals\r")
        screen.until("(2 rows)")
        screen.until(f"{first}:default>")
        screen.send("\x04")
        assert screen.ended() == 0
    assert "Traceback" not in screen.shown


def test_a_second_cluster_of_another_team_reads_the_first_ones_table_and_the_registry(
    hcluster: Hcluster, cloud: Cloud, first: str, tmp_path: Path
) -> None:
    renamed = under_another_profile(hcluster, cloud, tmp_path)
    disks = [{"size_gib": 4}, {"size_gib": 5}]
    file = spec(tmp_path, "two", team="science", core={"count": 1, "disks": disks})
    planned(renamed, file, "up", [("launch", "master", 1), ("launch", "core", 1)])
    assert "hcluster wait two" in renamed("up", file, "--no-wait", team="science").stdout
    assert replace(renamed, user="eve").json("wait", "two", team="science")["state"] == "ready"
    planned(renamed, "two", "resize", [("launch", "core", 1)], "core=2")
    rows = hcluster("sql", "two", "select name, n from counts order by n desc", "--format", "csv", team="science")
    assert rows.stdout.split()[1:] == ["cat,150", "bee,100", "ant,50"]
    show = "findmnt --noheadings --output TARGET,FSTYPE --type ext4; sudo ls /mnt/disk1/hadoop"
    (worker,) = hcluster.json("exec", "two", "--group", "core", "--", "sh", "-c", show, team="science")
    assert worker["stdout"].split() == ["/mnt/disk0", "ext4", "/mnt/disk1", "ext4", "containers", "datanode", "yarn"]
    listed = {row["name"]: row for row in hcluster.json("list")}
    assert {name: listed[name]["team"] for name in (first, "two")} == {first: "analytics", "two": "science"}
    refused = hcluster("down", "two", "--yes", code=1)
    assert "HCLUSTER_TEAM=science" in refused.stderr
    planned(renamed, "two", "down", [("end", "core", 1), ("end", "master", 1)])
    renamed("down", "two", "--yes", team="science")
    query = "select name, team, owner, state from hcluster.clusters order by name"
    rows = hcluster("sql", first, query, "--format", "csv")
    assert {"one,analytics,tester,ready", "two,science,tester,ended"} <= set(rows.stdout.split())


def planned(hcluster: Hcluster, what: str | Path, verb: str, wanted: list[tuple[str, str, int]], *more: str) -> None:
    """What ``--plan`` tells of nodes that come and go, with prices, and with seconds of the launch before."""
    plan = hcluster.json(verb, what, *more, "--plan", team="science")
    told = [(one["kind"], one["group"], one["count"]) for one in plan["actions"]]
    assert [one for one in told if one[0] in ("launch", "end")] == wanted
    total = plan["cost"]["groups"][-1]
    assert plan["cost"]["unknown"] == []
    assert (total["difference"]["high"] < 0) == (verb == "down")
    assert total["nodes_after"] - total["nodes_before"] == sum(
        count if kind == "launch" else -count for kind, _, count in wanted
    )
    if verb == "up":
        assert plan["expected"]["runs"] >= 1
        assert plan["expected"]["seconds"] > 5


def test_a_taken_name_is_refused_with_its_holder(hcluster: Hcluster, first: str, tmp_path: Path) -> None:
    taken = hcluster("up", spec(tmp_path, first, team="science"), team="science", code=1)
    assert "is taken by tester of team analytics" in taken.stderr


def test_logs_doctor_and_up_again_answer(hcluster: Hcluster, first: str, tmp_path: Path) -> None:
    assert " INFO " in hcluster("logs", first, "master", "--unit", "hive-server2", "--lines", "50").stdout
    assert "hcluster: ready" in hcluster("logs", first, "master", "--unit", "hcluster-bootstrap").stdout
    assert len(hcluster("logs", first, "core").stdout.splitlines()) > 20
    findings = hcluster.json("doctor")
    assert [finding for finding in findings if not finding["ok"]] == []
    before = {node["instance"]["id"] for node in hcluster.json("show", first)["nodes"]}
    hcluster("up", spec(tmp_path, first, tags={"project": "tests"}))
    assert {node["instance"]["id"] for node in hcluster.json("show", first)["nodes"]} == before


def test_every_verb_works_under_a_renamed_profile(hcluster: Hcluster, cloud: Cloud, first: str, tmp_path: Path) -> None:
    """Nothing outside the local cloud may know that it is one, by its profile's name or otherwise."""
    renamed = under_another_profile(hcluster, cloud, tmp_path)
    assert renamed.json("ami", "list")
    renamed("ami", "bake")
    renamed("puppet", "publish")
    renamed("platform", "up")
    assert renamed.json("platform", "status")["nodes"] == 3
    renamed("up", spec(tmp_path, first, tags={"project": "tests"}))
    assert [row["name"] for row in renamed.json("list")] == [first]
    assert len(renamed.json("nodes", first)) == 3
    assert renamed.json("show", first)["state"] == "ready"
    assert len(renamed.json("exec", first, "--", "true")) == 3
    assert renamed("sql", first, "select 40 + 2 as answer", "--format", "csv").stdout.split() == ["answer", "42"]
    assert renamed("logs", first, "master").stdout
    file = tmp_path / "a.txt"
    file.write_text("abc\n")
    renamed("data", "put", file, "tmp/")
    assert renamed("data", "cat", "tmp/a.txt").stdout == "abc\n"
    assert renamed("data", "list", "tmp/").stdout
    assert renamed.json("job", "run", first, "--jar", "examples", "--class", "pi", "--", "1", "1")["exit_code"] == 0
    assert "hello" in renamed.terminal("echo hello; exit\n", "ssh", first)
    assert all(finding["ok"] for finding in renamed.json("doctor"))


def every_table(hcluster: Hcluster, cluster: str) -> tuple[set[str], list[str]]:
    """The names of all tables of all databases, and what HiveServer2 of a cluster reads from all of them, sorted."""

    def lines(*statements: str) -> list[str]:
        return hcluster("sql", cluster, "; ".join(statements), "--format", "csv").stdout.splitlines()

    bases = lines("show databases")[1:]
    names = {f"{base}.{table}" for base in bases for table in lines(f"show tables in {base}")[1:]}
    return names, sorted(lines(*(f"select '{name}' as source, t.* from {name} t" for name in sorted(names))))


def test_a_lost_platform_node_is_replaced_on_its_volume_and_every_table_is_there(
    hcluster: Hcluster, cloud: Cloud, first: str
) -> None:
    hcluster(
        "sql",
        first,
        "create database zoo; create table zoo.cages stored as orc as select 1 as id, 'bear' as animal; "
        "create external table zoo.empty (id int) partitioned by (day string)",
    )
    before = every_table(hcluster, first)
    assert {"default.counts", "zoo.cages", "zoo.empty", "hcluster.clusters"} <= before[0]
    assert {"zoo.cages,1,bear", "default.counts,cat,150"} <= set(before[1])
    old = hcluster.json("platform", "status")
    cloud.client("ec2").terminate_instances(InstanceIds=[old["metastore_node"]])
    hcluster("platform", "up")
    new = hcluster.json("platform", "status")
    assert new["metastore_node"] != old["metastore_node"]
    assert [new[key] for key in ("metastore_volume", "metastore_uri")] == [
        old[key] for key in ("metastore_volume", "metastore_uri")
    ]
    assert every_table(hcluster, first) == before


def test_without_its_volume_the_platform_gets_every_table_back_from_the_last_dump(
    hcluster: Hcluster, cloud: Cloud, first: str
) -> None:
    before = every_table(hcluster, first)
    hcluster("exec", "platform", "--", "sudo", "systemctl", "start", "hcluster-dump")
    old = hcluster.json("platform", "status")
    assert old["dump"]["age"] < 60
    ec2 = cloud.client("ec2")
    ec2.terminate_instances(InstanceIds=[old["metastore_node"]])
    lost = {"VolumeIds": [old["metastore_volume"]]}
    wait_until(
        "the volume is free",
        lambda: ec2.describe_volumes(**lost)["Volumes"][0]["State"] == "available",
        timeout=60,
    )
    ec2.delete_volume(VolumeId=old["metastore_volume"])
    said = hcluster("platform", "up").stderr
    assert f"volume {old['metastore_volume']} with the metastore's tables is gone" in said
    assert hcluster.json("platform", "status")["metastore_volume"] != old["metastore_volume"]
    assert every_table(hcluster, first) == before


def test_a_file_with_a_strange_name_goes_to_every_node_and_back(hcluster: Hcluster, first: str, tmp_path: Path) -> None:
    (tmp_path / STRANGE).write_bytes(body := os.urandom(100_000))
    (tmp_path / STRANGE).chmod(0o640)
    done = hcluster.json("cp", tmp_path / STRANGE, f"{first}:/tmp/")
    assert [(one["files"], one["bytes"], one["error"]) for one in done] == [(1, 100_000, "")] * 3
    hcluster("cp", f"{first}:/tmp/{STRANGE}", tmp_path / "back")
    for one in done:
        found = tmp_path / "back" / one["address"] / STRANGE
        assert found.read_bytes() == body
        assert found.stat().st_mode & 0o777 == 0o640


def test_two_gigabytes_arrive_whole_in_little_memory(hcluster: Hcluster, first: str, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(BIG)
    assert memory_of(hcluster, "cp", str(tmp_path / "big"), f"{first}:/var/tmp/", "-i", "master") < COPY_MEMORY
    check = ("stat", "-c", "%s %a", "/var/tmp/big")
    assert hcluster("exec", first, "-i", "master", "--", *check).stdout.split() == [str(BIG), "644"]
    hcluster("exec", first, "-i", "master", "--", "rm", "/var/tmp/big")


def test_a_full_disk_is_told_and_nothing_stays_on_it(hcluster: Hcluster, first: str, tmp_path: Path) -> None:
    def on_master(command: str) -> str:
        return hcluster("exec", first, "-i", "master", "--", "sudo", "sh", "-c", command).stdout

    on_master("mkdir -p /mnt/full && mount -t tmpfs -o size=4m,mode=1777 tmpfs /mnt/full")
    (tmp_path / "much").write_bytes(bytes(20_000_000))
    failed = hcluster("cp", tmp_path / "much", f"{first}:/mnt/full/", "-i", "master", code=1)
    assert "cannot write /mnt/full/much: no space left on device [copy-failed]" in failed.stderr
    assert on_master("ls -A /mnt/full; umount /mnt/full") == ""


def test_the_web_pages_open_through_the_proxy_and_so_do_the_links_between_them(hcluster: Hcluster, first: str) -> None:
    with proxied(hcluster, first, "--port", "0", "--page", "hdfs") as (opened, process):
        socks = opened["socks"]
        port = socks.rpartition(":")[2]
        pages = {page["name"]: page for page in opened["pages"]}
        texts = {"yarn": "All Applications", "hdfs": "<h1>HDFS</h1>", "history": "JobHistory", "hive": "Open Queries"}
        assert set(pages) == {*texts, "tez"}
        for name, expected in texts.items():
            status, text = fetched(pages[name]["url"], socks)
            assert (status, expected in text) == (200, True), text[:2000]
        assert "<h1>HDFS</h1>" in fetched(pages["hdfs"]["local"])[1]
        nodes = json.loads(fetched(pages["yarn"]["url"].replace("/cluster", "/ws/v1/cluster/nodes"), socks)[1])
        for worker in nodes["nodes"]["node"]:
            assert "NodeManager" in fetched(f"http://{worker['nodeHTTPAddress']}/node", socks)[1]
        with pytest.raises(subprocess.CalledProcessError):
            fetched("http://169.254.169.254/", socks)
        assert "is taken by another program" in hcluster("proxy", first, "--port", port, code=1).stderr
        process.terminate()
        assert process.wait(60) == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", int(port)), timeout=5)


def test_a_node_that_dies_under_a_command_is_told_and_the_others_results_are_intact(
    hcluster: Hcluster, cloud: Cloud, first: str
) -> None:
    """The last test of this cluster: a worker is gone after it."""
    nodes = [one["instance"] for one in hcluster.json("nodes", first)]
    lost = next(one for one in nodes if one["tags"]["hcluster:group"] == "core")
    rest = [one["private_ip"] for one in nodes if one["id"] != lost["id"]]
    command = "echo begun; until test -e /tmp/go; do sleep 0.2; done; echo done"
    with started(hcluster, "exec", first, "--", "sh", "-c", command) as process:
        assert process.stdout
        assert all(process.stdout.readline().endswith("| begun\n") for _ in nodes)
        cloud.client("ec2").terminate_instances(InstanceIds=[lost["id"]])
        wait_until("the worker is gone", lambda: len(hcluster.json("nodes", first)) == len(rest), timeout=60)
        hcluster("exec", first, "--", "touch", "/tmp/go")
        out, err = process.communicate()
    assert process.returncode == 1
    assert sorted(line.partition("|")[0].split()[1] for line in out.splitlines()) == sorted(rest)
    assert "1 of 3 nodes failed:" in err
    assert f"core {lost['private_ip']}: the SSH connection to {lost['id']} of {first} ended" in err
    events = hcluster.json("events", first)
    assert [(one["instance"], one["exact"]) for one in events if one["kind"] == "lost"] == [(lost["id"], True)]
    assert [(one["kind"], one["user"]) for one in events if not one["instance"]][:2] == [
        ("launch", "tester"),
        ("ready", "tester"),
    ]
    assert len([one for one in events if one["kind"] == "joined"]) == 3


def under_another_profile(hcluster: Hcluster, cloud: Cloud, folder: Path) -> Hcluster:
    """The command with a copy of the profile by another name, in another folder."""
    for name in ("config", "credentials"):
        text = (cloud.aws / name).read_text().replace(f"hcluster-{cloud.name}", "production")
        (folder / name).write_text(text)
    wanted = yaml.safe_load(hcluster.platform.read_text())
    wanted["aws"] = {"profile": "production", "directory": str(folder)}
    platform = folder / "platform.yaml"
    platform.write_text(yaml.safe_dump(wanted))
    return Hcluster(platform)
