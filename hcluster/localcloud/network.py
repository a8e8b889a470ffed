"""The cloud's network: a bridge in a namespace without uplink, one link to this machine, one namespace a node.

    node netns [eth0] -- bridge br0 in the cloud's netns (API, DNS, proxy, metadata) -- [hclKEY] this machine

Only the bridge's own namespace holds 169.254.169.254. This machine reaches the /16 over its link; the same /16 is
unreachable with a worse metric, so that no packet for it ever takes another way while the link is missing.
"""

from __future__ import annotations

import json
import socket
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path

from hcluster.errors import LocalCloudError
from hcluster.localcloud.settings import METADATA_ADDRESS, CloudSettings
from hcluster.localcloud.system import NETNS_FOLDER, in_namespace, run

BRIDGE = "br0"
BACKLOG = 1024

_SHIELD = """
table bridge hcluster {
  set ports { type ifname . ether_addr; }
  set addresses { type ifname . ether_addr . ipv4_addr; }
  chain from_nodes {
    type filter hook prerouting priority 0; policy drop;
    iifname "up0" accept
    iifname . ether saddr != @ports drop
    meta protocol ip iifname . ether saddr . ip saddr @addresses accept
    meta protocol arp iifname . arp saddr ether . arp saddr ip @addresses accept
  }
  chain to_host {
    type filter hook forward priority 0; policy accept;
    oifname "up0" tcp flags & (syn|ack) == syn drop
    oifname "up0" meta l4proto udp drop
  }
}
"""
"""This machine speaks to nodes, as a caller does to a VPC; they do not begin to speak to it. A node speaks as nobody
but itself, as with EC2's source check: whoever took another one's address would get that one's credentials."""


def routed_networks() -> tuple[IPv4Network, ...]:
    """Every IPv4 network that this machine has a route to, apart from the default."""
    found = []
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]).stdout or "[]"):
        try:
            found.append(IPv4Network(route["dst"], strict=False))
        except (AddressValueError, NetmaskValueError, ValueError, KeyError):
            continue
    return tuple(found)


def hardware_address(address: str) -> str:
    """MAC of an address: always the same, so that no neighbour table is stale when an address is used again."""
    return "02:68:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


class CloudNetwork:
    """Makes and removes the namespaces and links of one cloud."""

    def __init__(self, settings: CloudSettings) -> None:
        self.settings = settings
        self._prefix = IPv4Network(settings.cidr).prefixlen
        self._addresses: dict[str, str] = {}
        """Of nodes by instance: what the bridge lets them speak as."""

    def up(self) -> None:
        """Bridge, link and routes. The remains of an earlier cloud must be gone (see ``leftovers``).

        Raises:
            LocalCloudError: the kernel refused.
        """
        here = self.settings
        run(["ip", "netns", "add", here.namespace])
        in_namespace(here.namespace, lambda: _sysctls({"ipv6/conf/default/disable_ipv6": "1", "ipv4/ip_forward": "1"}))
        self._inside(
            "link set lo up",
            f"link add {BRIDGE} address {hardware_address(here.gateway)} type bridge",
            f"addr add {here.gateway}/{self._prefix} dev {BRIDGE}",
            f"addr add {METADATA_ADDRESS}/32 dev {BRIDGE}",
            f"link set {BRIDGE} up",
            # Whatever a node sends elsewhere is refused at once, rather than lost.
            "route add unreachable default",
        )
        link = ["ip", "link", "add", here.host_link, "address", hardware_address(here.host_ip)]
        run([*link, "type", "veth", "peer", "name", "up0", "netns", here.namespace])
        # The nodes' packets end on this machine: it does not route for them, whatever it does for others.
        _sysctls({f"ipv6/conf/{here.host_link}/disable_ipv6": "1", f"ipv4/conf/{here.host_link}/forwarding": "0"})
        run(["ip", "netns", "exec", here.namespace, "nft", "-f", "-"], stdin=_SHIELD)
        self._inside(f"link set up0 master {BRIDGE}", "link set up0 up")
        run(["ip", "addr", "add", f"{here.host_ip}/{self._prefix}", "dev", here.host_link])
        run(["ip", "link", "set", here.host_link, "up"])
        run(["ip", "route", "replace", "unreachable", here.cidr, "metric", str(here.block_metric)])

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening TCP socket inside the cloud's namespace; the caller's process stays outside.

        Raises:
            LocalCloudError: something listens there already.
        """

        def bind() -> socket.socket:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address, port))
                listener.listen(BACKLOG)
            except OSError as cause:
                listener.close()
                raise LocalCloudError(
                    f"cannot listen on {address}:{port} in {self.settings.namespace}: {cause.strerror}",
                    hint=f"hcluster local stop --name {self.settings.name}",
                ) from cause
            return listener

        return in_namespace(self.settings.namespace, bind)

    def node_namespace(self, instance_id: str) -> str:
        """Name of a node's namespace."""
        return f"{self.settings.namespace}-{instance_id}"

    def node_namespace_path(self, instance_id: str) -> Path:
        """The same as runc wants it."""
        return NETNS_FOLDER / self.node_namespace(instance_id)

    def add_node(self, instance_id: str, address: str) -> None:
        """Namespace and link of a node; what is there already of this instance is replaced.

        Raises:
            LocalCloudError: the address is outside the cloud or one of its own, or the kernel refused.
        """
        here = self.settings
        if not here.contains(address) or address in (here.gateway, here.host_ip):
            raise LocalCloudError(f"{instance_id}: the address {address} is not one of the nodes' in {here.cidr}")
        self.remove_node(instance_id)
        namespace = self.node_namespace(instance_id)
        link = _bridge_port(instance_id)
        run(["ip", "netns", "add", namespace])
        in_namespace(namespace, lambda: _sysctls({"ipv6/conf/default/disable_ipv6": "1"}))
        self._addresses[instance_id] = address
        self._vouch("add", instance_id, address)
        self._inside(
            f"link add {link} type veth peer name eth0 address {hardware_address(address)} netns {namespace}",
            f"link set {link} master {BRIDGE}",
            f"link set {link} up",
        )
        run(
            ["ip", "-n", namespace, "-batch", "-"],
            stdin="link set lo up\n"
            f"addr add {address}/{self._prefix} dev eth0\n"
            "link set eth0 up\n"
            f"route add {METADATA_ADDRESS} dev eth0\n"
            f"route add default via {here.gateway}\n",
        )

    def remove_node(self, instance_id: str) -> None:
        """Namespace and link of a node, if there; the link goes with either end."""
        namespace = self.node_namespace(instance_id)
        if (NETNS_FOLDER / namespace).exists():
            run(["ip", "-n", self.settings.namespace, "link", "del", _bridge_port(instance_id)], check=False)
            run(["ip", "netns", "del", namespace], check=False)
        if address := self._addresses.pop(instance_id, ""):
            self._vouch("delete", instance_id, address, check=False)

    def _vouch(self, verb: str, instance_id: str, address: str, *, check: bool = True) -> None:
        port, hardware = f'"{_bridge_port(instance_id)}"', hardware_address(address)
        rules = (
            f"{verb} element bridge hcluster ports {{ {port} . {hardware} }}\n"
            f"{verb} element bridge hcluster addresses {{ {port} . {hardware} . {address} }}\n"
        )
        run(["ip", "netns", "exec", self.settings.namespace, "nft", "-f", "-"], stdin=rules, check=check)

    def _inside(self, *commands: str) -> None:
        run(["ip", "-n", self.settings.namespace, "-batch", "-"], stdin="\n".join(commands) + "\n")


def _bridge_port(instance_id: str) -> str:
    return "v" + instance_id.removeprefix("i-")[-13:]


def _sysctls(values: dict[str, str]) -> None:
    for name, value in values.items():
        path = Path("/proc/sys/net") / name
        if path.exists():  # A kernel without IPv6 has no such folder.
            path.write_text(value)
