"""Security groups as nftables rulesets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hcluster.localcloud import firewall
from hcluster.localcloud.firewall import Firewall, Rule

SERVICES = ("10.70.0.1", "169.254.169.254")
ANYWHERE = (Rule("-1", -1, -1, networks=("0.0.0.0/0",)),)


def _firewall(*ingress: Rule, egress: Sequence[Rule] = ANYWHERE) -> Firewall:
    return Firewall("10.70.16.4", ("sg-1",), ingress, tuple(egress))


def _chain(ruleset: str, hook: str) -> list[str]:
    """The lines of a chain, after the one that declares it."""
    body = ruleset.split(f"  chain {hook} {{\n")[1].split("  }\n", maxsplit=1)[0]
    return [line.strip() for line in body.splitlines()][1:]


def test_the_whole_ruleset() -> None:
    rules = (
        Rule("-1", -1, -1, groups=("sg-1",)),
        Rule("tcp", 22, 22, networks=("10.70.0.0/16",)),
        Rule("tcp", 9083, 9090, groups=("sg-2",)),
    )
    found = firewall.render(
        _firewall(*rules), {"sg-1": ("10.70.16.4", "10.70.16.5"), "sg-2": ("10.70.32.9",)}, SERVICES
    )
    assert (
        found
        == """table ip hcluster
delete table ip hcluster
table ip hcluster {
  set sg_1 {
    type ipv4_addr
    elements = { 10.70.16.4, 10.70.16.5 }
  }
  set sg_2 {
    type ipv4_addr
    elements = { 10.70.32.9 }
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    ip saddr @sg_1 accept
    ip saddr 10.70.0.0/16 tcp dport 22 accept
    ip saddr @sg_2 tcp dport 9083-9090 accept
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    ct state established,related accept
    ip daddr { 10.70.0.1, 169.254.169.254 } accept
    accept
  }
}
"""
    )


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (Rule("tcp", 80, 80, networks=("0.0.0.0/0",)), "tcp dport 80 accept"),
        (Rule("tcp", 0, 65535, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 meta l4proto tcp accept"),
        (Rule("udp", -1, -1, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 meta l4proto udp accept"),
        (Rule("udp", 53, 60, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 udp dport 53-60 accept"),
        (Rule("17", 53, 53, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 udp dport 53 accept"),
        (Rule("icmp", -1, -1, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 meta l4proto icmp accept"),
        (Rule("icmp", 8, -1, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 icmp type 8 accept"),
        (Rule("icmp", 3, 4, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 icmp type 3 icmp code 4 accept"),
        (Rule("50", -1, -1, networks=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 meta l4proto 50 accept"),
        (Rule("-1", -1, -1, networks=("10.70.16.9/32",)), "ip saddr 10.70.16.9/32 accept"),
    ],
)
def test_a_rule_in_nfts_words(rule: Rule, line: str) -> None:
    assert _chain(firewall.render(_firewall(rule), {}, SERVICES), "input")[2:] == [line]


def test_without_rules_nothing_comes_in_but_answers() -> None:
    assert _chain(firewall.render(_firewall(), {}, SERVICES), "input") == [
        'iifname "lo" accept',
        "ct state established,related accept",
    ]


def test_without_egress_rules_the_metadata_service_and_dns_are_still_reached() -> None:
    lines = _chain(firewall.render(_firewall(egress=()), {}, SERVICES), "output")
    assert lines[2:] == ["ip daddr { 10.70.0.1, 169.254.169.254 } accept"]


def test_egress_looks_at_where_packets_go() -> None:
    lines = _chain(firewall.render(_firewall(egress=[Rule("tcp", 443, 443, ("10.0.0.0/8",))]), {}, SERVICES), "output")
    assert lines[-1] == "ip daddr 10.0.0.0/8 tcp dport 443 accept"


def test_a_group_without_members_allows_nobody() -> None:
    found = firewall.render(_firewall(Rule("-1", -1, -1, groups=("sg-empty",))), {}, SERVICES)
    assert "sg_empty" not in found
    assert len(_chain(found, "input")) == 2


def test_the_same_rule_of_two_groups_is_told_once() -> None:
    rule = Rule("tcp", 22, 22, networks=("10.0.0.0/8",))
    assert len(_chain(firewall.render(_firewall(rule, rule), {}, SERVICES), "input")) == 3


def test_a_partitioned_node_reaches_only_itself() -> None:
    assert _chain(firewall.closed(), "input") == ['iifname "lo" accept']
    assert _chain(firewall.closed(), "output") == ['oifname "lo" accept']


def test_members_are_those_with_the_group_by_address() -> None:
    one = Firewall("10.70.16.10", ("sg-1", "sg-2"), (), ())
    two = Firewall("10.70.16.9", ("sg-1",), (), ())
    assert firewall.members([one, two]) == {"sg-1": ("10.70.16.9", "10.70.16.10"), "sg-2": ("10.70.16.10",)}
