"""`hcluster proxy`: what it prints, whom it leads to, and how it ends."""

from __future__ import annotations

import json
import socket

import pytest

from hcluster.cli import proxy
from hcluster.errors import DeniedError, NotFoundError, UnreachableError
from hcluster.flows.proxy import KNOWN_SECONDS, LOOK_AGAIN_SECONDS, Gate, pages
from hcluster.model.node import Instance
from tests.unit.cli_world import FLIGHTS, Cli


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """Flights: a master and two core nodes."""
    cli.prepare()
    assert cli("up", FLIGHTS) == 0, cli.err
    return cli


def nodes(cli: Cli) -> list[Instance]:
    return sorted(cli.cloud.compute.instances({"hcluster:cluster": "flights"}), key=lambda node: node.private_ip)


def gate_of(cli: Cli) -> Gate:
    return Gate(cli.context(None), "flights")  # type: ignore[arg-type]


def interrupted(_gate: Gate) -> None:
    raise KeyboardInterrupt


def test_the_proxy_and_the_pages_are_told_and_ctrl_c_is_a_good_end(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "serve", interrupted)
    assert ready("proxy", "flights", "--port", "0") == 0
    host = nodes(ready)[0].private_dns
    assert ready.out.startswith("SOCKS5 proxy to the nodes of flights: 127.0.0.1:")
    for page in ("8088/cluster", "9870/", "10002/hiveserver2.jsp", "19888/jobhistory"):
        url = f"http://{host}:{page}"
        assert url in ready.out
    assert ready.err.endswith("closed\n")
    assert all(remote.closed for remote in ready.cloud.connector.remotes)
    assert ready("proxy", "flights", "--port", "0", "--page", "yarn", "--output", "json") == 0
    opened = json.loads(ready.out)
    assert opened["cluster"] == "flights"
    local = {page["name"]: page["local"] for page in opened["pages"]}
    assert local["yarn"].startswith("http://127.0.0.1:")
    assert (local["hdfs"], local["history"]) == (None, None)


def test_a_port_that_is_taken_is_told_before_any_session_is_opened(ready: Cli) -> None:
    before = len(ready.cloud.connector.remotes)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert ready("proxy", "flights", "--port", port) == 1
    assert f"port {port} of this machine is taken by another program" in ready.err
    assert "--port 0" in ready.err
    assert "port-taken" in ready.err
    assert len(ready.cloud.connector.remotes) == before


def test_a_page_that_does_not_exist_is_wrong_usage(ready: Cli) -> None:
    assert ready("proxy", "flights", "--page", "spark") == 2
    assert "pages are: yarn, hdfs, hive, tez, history" in ready.err


def test_without_a_cluster_there_is_no_proxy(ready: Cli) -> None:
    assert ready("proxy", "nosuch") == 1
    assert "no-cluster" in ready.err


def test_nodes_are_led_to_by_address_and_by_both_names(ready: Cli) -> None:
    gate, worker = gate_of(ready), nodes(ready)[1]
    ready.cloud.connector.channels[worker.private_ip, 8042] = lambda: "page"
    for name in (
        worker.private_ip,
        worker.private_dns,
        worker.private_dns.upper() + ".",
        worker.private_dns.split(".")[0],
    ):
        assert gate.channel(name, 8042) == "page"
    assert len({remote.instance.id for remote in ready.cloud.connector.remotes[-1:]}) == 1
    assert ready.cloud.connector.remotes[-1].instance.id == nodes(ready)[0].id, "through the master"
    with pytest.raises(UnreachableError, match="nothing listens"):
        gate.channel(worker.private_ip, 9)


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "localhost", "10.0.0.1", "", "169.254.169.254"])
def test_nobody_else_is_led_to(ready: Cli, host: str) -> None:
    with pytest.raises(DeniedError, match="is no node of cluster flights") as caught:
        gate_of(ready).channel(host, 80)
    assert caught.value.reference == "not-in-cluster"


def test_another_clusters_node_is_none_of_this_ones(ready: Cli) -> None:
    platform = ready.cloud.compute.instances({"hcluster:cluster": "platform"})[0]
    with pytest.raises(DeniedError):
        gate_of(ready).channel(platform.private_ip, 9083)


def test_a_node_that_came_later_is_found_and_ec2_is_not_asked_for_each_strange_name(ready: Cli) -> None:
    lost = nodes(ready)[1]
    ready.cloud.compute.terminate([lost.id])
    gate = gate_of(ready)
    ready.cloud.clock.sleep(LOOK_AGAIN_SECONDS + 1)
    asked = len(ready.cloud.compute.calls)
    for number in range(10):
        with pytest.raises(DeniedError):
            gate.channel(f"strange{number}", 80)
    assert len(ready.cloud.compute.calls) == asked + 1
    assert ready("up", FLIGHTS) == 0
    (new,) = {node.private_ip for node in nodes(ready)} - {node.private_ip for node in gate._nodes.values()}
    ready.cloud.connector.channels[new, 8042] = lambda: "page"
    assert gate.channel(new, 8042) == "page"


def test_an_address_that_a_lost_node_had_is_not_led_to_for_long(ready: Cli) -> None:
    """Somebody else may have it by then."""
    gate, lost = gate_of(ready), nodes(ready)[1]
    ready.cloud.connector.channels[lost.private_ip, 8042] = lambda: "page"
    assert gate.channel(lost.private_ip, 8042) == "page"
    ready.cloud.compute.terminate([lost.id])
    ready.cloud.clock.sleep(KNOWN_SECONDS)
    with pytest.raises(DeniedError):
        gate.channel(lost.private_ip, 8042)


def test_a_lost_session_is_opened_anew(ready: Cli) -> None:
    gate, worker = gate_of(ready), nodes(ready)[1]
    ready.cloud.connector.channels[worker.private_ip, 8042] = lambda: "page"
    first = gate.ensure()
    first.close()
    assert gate.channel(worker.private_ip, 8042) == "page"
    assert gate.ensure() is not first
    gate.close()
    with pytest.raises(UnreachableError, match="was closed"):
        gate.channel(worker.private_ip, 8042)


def test_it_ends_with_the_cluster(ready: Cli) -> None:
    gate = gate_of(ready)
    remote = gate.ensure()
    assert ready("down", "flights", "--yes") == 0
    remote.close()
    with pytest.raises(NotFoundError) as caught:
        gate.ensure()
    assert caught.value.reference == "no-cluster"


def test_when_the_cluster_ends_the_proxy_does_and_goes_on_with_no_other_of_a_like_name(
    ready: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name stays claimed, so that whoever looked it up again would find it, and begin anew."""
    monkeypatch.setattr(proxy, "LOOK_SECONDS", 0.01)
    emitted: list[str] = []

    def ending(gate: Gate) -> None:
        emitted.append(gate.master.id)
        gate.ensure().close()
        ready.cloud.compute.terminate([node.id for node in nodes(ready)])
        serve(gate)

    serve = proxy.serve
    monkeypatch.setattr(proxy, "serve", ending)
    assert ready("proxy", "flights", "--port", "0") == 1
    assert "the proxy has ended: no cluster flights is running" in ready.err
    assert len(emitted) == 1


def test_the_platforms_node_has_no_pages(ready: Cli) -> None:
    platform = ready.cloud.compute.instances({"hcluster:cluster": "platform"})[0]
    assert pages("platform", platform) == ()
