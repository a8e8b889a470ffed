"""Security groups as the machines' firewalls: what the records say, told to the machines soon after it changes."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Any

from hcluster.localcloud.api.network import Network
from hcluster.localcloud.firewall import Firewall, Rule
from hcluster.localcloud.machines import Machines

log = logging.getLogger(__name__)

DELAY = 0.2
"""Seconds after a change until it is told, with what changed meanwhile."""
_SHARE = 10
"""Telling takes at most one part in so many of the time, however many machines there are."""


def firewalls(backend: Network, instances: list[Any]) -> dict[str, Firewall]:
    """The firewall of each instance that has an interface, by its id. The cloud's lock is held."""
    known: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[Rule, ...], tuple[Rule, ...]]] = {}
    found = {}
    for instance in instances:
        interface = instance.nics.get(0)
        if interface is None:
            continue
        groups = sorted(backend.groups_of(interface), key=lambda group: str(group.id))
        names = tuple(group.id for group in groups)
        if names not in known:
            ingress = tuple(rule for group in groups for rule in _rules(group.ingress_rules))
            egress = tuple(rule for group in groups for rule in _rules(group.egress_rules))
            known[names] = (names, _shared(ingress), _shared(egress))
        found[instance.id] = Firewall(str(interface.private_ip_address), *known[names])
    return found


@functools.lru_cache(maxsize=1024)
def _shared(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Equal rules as one object, so that thousands of firewalls are compared at once."""
    return rules


def _rules(records: list[Any]) -> tuple[Rule, ...]:
    return tuple(rule for record in records if (rule := _rule(record)) is not None)


def _rule(record: Any) -> Rule | None:
    """One rule of a group; None for one that nothing here can match (IPv6, prefix lists)."""
    network = record.ip_range.get("CidrIp")
    group = record.source_group.get("GroupId")
    if not group and not _is_network(network):
        return None
    first = -1 if record.from_port is None else int(record.from_port)
    last = -1 if record.to_port is None else int(record.to_port)
    return Rule(
        str(record.ip_protocol), first, last, networks=(network,) if network else (), groups=(group,) if group else ()
    )


def _is_network(text: str | None) -> bool:
    try:
        IPv4Network(text or "", strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return False
    return True


class Enforcer:
    """Tells the machines. ``read`` gives the firewalls as the records say; it takes the cloud's lock by itself."""

    def __init__(self, machines: Machines, read: Callable[[], dict[str, Firewall]]) -> None:
        self._machines = machines
        self._read = read
        self._told: dict[str, Firewall] | None = None
        self._telling = threading.Lock()
        self._wake = threading.Event()
        self._stale = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._working, name="firewalls", daemon=True)

    def start(self) -> None:
        """Begin, with the first word before this returns: nothing boots before the machines know the rules."""
        self.settle()
        self._thread.start()

    def close(self) -> None:
        """Tell nothing more."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def changed(self) -> None:
        """Something of the records changed."""
        self._stale = True
        self._wake.set()

    def settle(self) -> float:
        """Return when the machines follow the records as they are; the seconds that it took. Call without the lock."""
        begun = time.monotonic()
        with self._telling:
            if self._stale:
                self._stale = False
                self._wake.clear()
                self._tell()
        return time.monotonic() - begun

    def _tell(self) -> None:
        try:
            wanted = self._read()
            if wanted != self._told:
                self._machines.enforce(wanted)
                self._told = wanted
        except BaseException:
            self._stale = True
            raise

    def _working(self) -> None:
        rest = DELAY
        while not self._closing.is_set():
            self._wake.wait()
            # With what comes next: one change is seldom alone.
            if self._closing.wait(rest):
                return
            try:
                rest = max(DELAY, self.settle() * _SHARE)
            except Exception:
                log.exception("the security groups could not be enforced")
                self._wake.set()
