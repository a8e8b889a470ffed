"""Which addresses may be contacted, how commands are quoted, which host keys count."""

from __future__ import annotations

import shlex

import pytest

from hcluster.errors import HostKeyError, UnreachableError, UsageError
from hcluster.remote.address import Bastion, parse_bastion, require_inside
from hcluster.remote.command import quote
from hcluster.remote.hostkeys import algorithms, reported_keys

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.mark.parametrize(
    "words", [["echo", "a b"], ["sh", "-c", "rm -rf $HOME; '\""], ["x", ""], ["printf", "%s\n", "ä*?"]]
)
def test_a_sequence_reaches_the_command_word_by_word(words: list[str]) -> None:
    assert shlex.split(quote(words)) == words


def test_a_string_is_left_to_the_nodes_shell() -> None:
    assert quote("ps | wc -l") == "ps | wc -l"


@pytest.mark.parametrize("address", ["10.64.0.1", "10.64.255.254", "10.65.3.4"])
def test_addresses_of_the_network_pass(address: str) -> None:
    require_inside(address, ["10.64.0.0/16", "10.65.0.0/16"], what="i-1")


@pytest.mark.parametrize(
    ("address", "cidrs"), [("8.8.8.8", ["10.64.0.0/16"]), ("10.66.0.1", ["10.64.0.0/16"]), ("10.64.0.1", [])]
)
def test_other_addresses_are_refused_with_the_network_named(address: str, cidrs: list[str]) -> None:
    with pytest.raises(UnreachableError, match="outside the platform's network") as caught:
        require_inside(address, cidrs, what="i-1")
    assert (cidrs[0] if cidrs else "not known") in caught.value.context


@pytest.mark.parametrize("address", ["", "node", "10.64.0.0/16"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UnreachableError, match="no usable address"):
        require_inside(address, ["0.0.0.0/0"], what="i-1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("b.example.com", Bastion("b.example.com")),
        ("me@b", Bastion("b", "me")),
        ("me@b:2222", Bastion("b", "me", 2222)),
        ("[fd00::1]", Bastion("fd00::1")),
        ("me@[fd00::1]:2222", Bastion("fd00::1", "me", 2222)),
    ],
)
def test_a_bastion_is_user_host_and_port(text: str, expected: Bastion | None) -> None:
    assert parse_bastion(text) == expected


@pytest.mark.parametrize("text", ["@b", "b:", "b:ssh", "b:0", "b:70000", "fd00::1", "me@"])
def test_a_malformed_bastion_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=r"not \[user@\]host\[:port\]"):
        parse_bastion(text)


def test_known_hosts_writes_ports_other_than_22_in_brackets() -> None:
    assert Bastion("b", port=2222).known_hosts_name == "[b]:2222"
    assert Bastion("b").known_hosts_name == "b"


def test_host_keys_are_read_and_only_their_algorithms_are_offered() -> None:
    keys = reported_keys(
        {"host_keys": [ED25519 + " root@node", "ssh-new AAAA", "junk", f"ssh-ed25519 {'!' * 8}"]}, what="i-1"
    )
    assert [key.get_base64() for key in keys] == [ED25519.split()[1]]
    assert algorithms(keys) == ("ssh-ed25519",)


@pytest.mark.parametrize(
    "body", [{}, {"host_keys": []}, {"host_keys": "ssh-ed25519"}, {"host_keys": ["ssh-ed25519 AAAA"]}]
)
def test_a_checkin_without_a_usable_key_is_a_host_key_error(body: dict[str, object]) -> None:
    with pytest.raises(HostKeyError, match="i-1 holds no SSH host key"):
        reported_keys(body, what="i-1")
