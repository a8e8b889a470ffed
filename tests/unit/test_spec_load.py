"""Reading platform.yaml and cluster.yaml."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from hcluster.errors import SpecError
from hcluster.spec.cluster import MAX_SCRIPT_BYTES
from hcluster.spec.load import kind_of, load_cluster, load_platform
from hcluster.spec.platform import PlatformSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
Write = Callable[[str], Path]

PLATFORM = PlatformSpec(
    name="demo",
    bucket="hcluster-demo",
    teams=("analytics", "science"),
    defaults={"lifetime": "8h", "core": {"count": 5}},
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return to_file


def findings(path: Path, platform: PlatformSpec | None = PLATFORM) -> list[str]:
    """What loading tells, without the folder of the file."""
    with pytest.raises(SpecError) as caught:
        load_cluster(path, platform) if platform else load_platform(path)
    return [line[line.index("spec.yaml") :].removeprefix("spec.yaml:") for line in caught.value.findings]


def test_the_examples_are_what_the_demo_needs() -> None:
    platform = load_platform(EXAMPLES / "platform.yaml")
    assert (platform.name, platform.bucket, platform.teams) == ("demo", "hcluster-demo", ("analytics", "science"))
    assert platform.aws.directory == str(EXAMPLES.parent / ".state" / "local" / "demo" / "aws")
    assert platform.network.proxy("http://10.64.0.1:4566") == "10.64.0.1:3128"
    flights = load_cluster(EXAMPLES / "flights.yaml", platform)
    assert (flights.name, flights.team, flights.wanted()) == ("flights", "analytics", {"master": 1, "core": 2})
    assert (flights.master.market, flights.core.market) == ("on-demand", "spot")
    assert flights.tags == {"environment": "demo", "purpose": "flights-of-2013"}
    reader = load_cluster(EXAMPLES / "reader.yaml", platform)
    assert (reader.team, reader.lifetime) == ("science", 4 * 3600)


def test_the_clusters_yaml_wins_over_the_platforms_defaults_key_by_key(write: Write) -> None:
    spec = load_cluster(write("{name: a, team: science, core: {market: on-demand}}"), PLATFORM)
    assert (spec.core.count, spec.core.market, spec.lifetime) == (5, "on-demand", 8 * 3600)


def test_image_and_channel_are_the_platforms_when_the_cluster_names_none(write: Write) -> None:
    platform = PLATFORM.model_copy(
        update={
            "images": PLATFORM.images.model_copy(update={"name": "lake"}),
            "puppet": PLATFORM.puppet.model_copy(update={"channel": "next"}),
        }
    )
    spec = load_cluster(write("{name: a, team: science}"), platform)
    assert (spec.image, spec.puppet.channel) == ("lake", "next")


def test_everything_wrong_is_told_at_once_each_with_its_line(write: Write) -> None:
    path = write("""\
        name: Flights
        team: analytic
        coer: {}
        core:
          cuont: 3
          count: "2"
          market: sport
          disks: [{size_gb: 3}]
        lifetime: 4
        owner: yes
        site: {core-sites: {a: 1}}
        bootstrap: [{name: a, file: nope}]
        tags: {"aws:x": a}
        master: {count: 2}
        """)
    told = findings(path)
    assert [line.split(": ")[:2] for line in told] == [
        ["1", "name"],
        ["2", "team"],
        ["3", "coer"],
        ["5", "core.cuont"],
        ["6", "core.count"],
        ["7", "core.market"],
        ["8", "core.disks[0].size_gib"],
        ["8", "core.disks[0].size_gb"],
        ["9", "lifetime"],
        ["10", "owner"],
        ["11", "site.core-sites"],
        ["12", "bootstrap[0].file"],
        ["13", "tags.aws:x"],
        ["14", "master.count"],
    ]
    text = "\n".join(told)
    for guess in ("analytics", "core", "count", "spot", "size_gib", "core-site"):
        assert f"did you mean `{guess}`?" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [a", "1: not valid YAML"),
        ("name: a\nteam: {x", "2: not valid YAML"),
        ("", "1: the file is empty"),
        ("- a", "1: the file must hold a mapping"),
        ("name: a\nname: b\nteam: science", "2: name: given twice, first in line 1"),
        ("name: a\nteam: science\ncore: {count: 1, count: 2}", "3: core.count: given twice"),
        ("name: a\nteam: science\n<<: {}", "3: merge keys"),
        ("name: a\nteam: science\ntags: &t\n  x: *t", "an alias may not hold itself"),
        ("name: a\nteam: science\ntags: !!python/name:os.system\n", "is not allowed here"),
        ("name: \x00", "not valid YAML"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_with_its_line(write: Write, text: str, told: str) -> None:
    assert told in "\n".join(findings(write(text)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: platform", "1: name: `platform` is reserved"),
        ("name: " + "a" * 31, "1: name: "),
        ("name: 1a", "1: name: "),
        ("core: {count: 0}", "core.count: "),
        ("core: {count: 10001}", "core.count: "),
        ("core: {count: 2.5}", "core.count: must be a whole number"),
        ("core: {count: true}", "core.count: must be a whole number"),
        ("core: {types: []}", "core.types: "),
        ("core: {types: m5.large}", "core.types: must be a list"),
        ("core: {types: [large]}", "core.types[0]: 'large' does not match"),
        ("core:", "core: must be a mapping, not None"),
        ("lifetime: 4 hours", "lifetime: write a number and a unit"),
        ("lifetime: 0h", "lifetime: write a number and a unit"),
        ("bootstrap: [{name: a, script: 'echo'}]", "bootstrap[0]: the script must begin with `#!`"),
        ("bootstrap: [{name: a}]", "bootstrap[0]: give exactly one of"),
        ("bootstrap: [{name: a, script: '#!a', file: b}]", "bootstrap[0]: give exactly one of"),
        ("bootstrap: [{name: a, script: '#!a'}, {name: a, script: '#!a'}]", "need different names"),
        ("tags: {'hcluster:team': x}", "are reserved"),
    ],
)
def test_values_out_of_bounds_are_refused(write: Write, text: str, told: str) -> None:
    rest = "team: science\n" if text.startswith("name:") else "name: a\nteam: science\n"
    assert told in "\n".join(findings(write(text + "\n" + rest)))


def test_a_bootstrap_file_is_read_from_beside_the_yaml(write: Write, tmp_path: Path) -> None:
    (tmp_path / "setup.sh").write_text("#!/bin/sh\ntrue\n")
    spec = load_cluster(write("{name: a, team: science, bootstrap: [{name: s, file: setup.sh, args: [x]}]}"), PLATFORM)
    assert (spec.bootstrap[0].script, spec.bootstrap[0].file, spec.bootstrap[0].args) == (
        "#!/bin/sh\ntrue\n",
        "",
        ("x",),
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"", "is empty"), (b"\xff\xfe", "is not UTF-8"), (b"#" * (MAX_SCRIPT_BYTES + 1), "is larger than 256 KiB")],
)
def test_a_bootstrap_file_that_cannot_be_taken_is_told_once(
    write: Write, tmp_path: Path, body: bytes, told: str
) -> None:
    (tmp_path / "setup.sh").write_bytes(body)
    lines = findings(write("{name: a, team: science, bootstrap: [{name: s, file: setup.sh}]}"))
    assert len(lines) == 1
    assert told in lines[0]


def test_wrong_defaults_are_told_with_the_lines_of_the_platforms_yaml(write: Write) -> None:
    path = write("""\
        name: demo
        bucket: hcluster-demo
        teams: [analytics]
        defaults:
          name: all
          core:
            cuont: 3
          bootstrap: [{name: a, file: b}]
        """)
    told = findings(path, None)
    assert [line.split(": ")[:2] for line in told] == [
        ["5", "defaults.name"],
        ["7", "defaults.core.cuont"],
        ["8", "defaults.bootstrap[0].file"],
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bucket: UPPER", "bucket: "),
        ("bucket: a.b.c", "bucket: "),
        ("bucket: a--b", "may not hold --"),
        ("region: moon", "region: "),
        ("teams: []", "teams: "),
        ("teams: [a, a]", "each team is named once"),
        ("teams: [platform]", "is reserved"),
        ("network: {vpc: vpc-x}", "network.vpc: "),
        ("network: {package_proxy: proxy}", "network.package_proxy: "),
        ("network: {package_proxy: {endpoint}:3128}", "not valid YAML"),
        ("metastore: {external: http://x}", "metastore.external: "),
        ("regoin: us-east-1", "did you mean `region`?"),
    ],
)
def test_a_wrong_platform_is_refused(write: Write, text: str, told: str) -> None:
    lines = {"name": "name: demo", "bucket": "bucket: hcluster-demo", "teams": "teams: [analytics]"}
    lines[text.split(":", 1)[0]] = text
    assert told in "\n".join(findings(write("\n".join(lines.values())), None))


def test_a_missing_file_and_missing_fields_are_findings(write: Write, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in "\n".join(findings(tmp_path / "spec.yaml", None))
    told = "\n".join(findings(write("name: demo"), None))
    assert "bucket: is required" in told
    assert "teams: is required" in told


def test_site_values_become_the_text_that_hadoop_reads(write: Write) -> None:
    text = "{name: a, team: science, site: {core-site: {a: true, b: 3, c: 0.5, d: x, e: 2013-01-01}}}"
    assert load_cluster(write(text), PLATFORM).site["core-site"] == {
        "a": "true",
        "b": "3",
        "c": "0.5",
        "d": "x",
        "e": "2013-01-01",
    }


def test_the_kind_of_a_file_is_seen_from_its_keys() -> None:
    assert kind_of(EXAMPLES / "platform.yaml") == "platform"
    assert kind_of(EXAMPLES / "flights.yaml") == "cluster"


def test_a_file_elsewhere_is_named_by_its_whole_path_and_one_below_by_the_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "x.yaml").write_text("name: x\nlifetim: 4h\n")
    monkeypatch.chdir(here)
    for given, shown in ((there / "x.yaml", str(there / "x.yaml")), (here / "x.yaml", "x.yaml")):
        with pytest.raises(SpecError) as refused:
            load_cluster(given, PLATFORM)
        assert str(refused.value).startswith(f"{shown} does not describe")
