"""Opens sessions to nodes: short-lived keys, reported host keys, addresses inside the platform's network only.

paramiko takes half a second to import, so this module imports it only when a session is opened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hcluster.errors import HostKeyError, NotFoundError, UnreachableError
from hcluster.model.node import Instance
from hcluster.ports import CheckIns, Clock, Compute
from hcluster.remote.address import SSH_PORT, parse_bastion, require_inside

if TYPE_CHECKING:
    from hcluster.remote.bastion import Jump
    from hcluster.remote.keys import EphemeralKey
    from hcluster.remote.session import SshRemote

_RETRY_SECONDS = 1.0


class SshConnector:
    """Implements ``hcluster.ports.Connector``; may be used by many threads at once.

    ``network_cidrs`` is asked when a session is opened, so that making a connector costs no call. ``bastion`` is
    ``[user@]host[:port]`` or ""; its host key must be in ``bastion_known_hosts`` (text of a known_hosts file) or, when
    that is empty, in the caller's own ``~/.ssh/known_hosts``. ``deadline`` bounds one ``connect``, in seconds.
    """

    def __init__(
        self,
        *,
        checkins: CheckIns,
        compute: Compute,
        clock: Clock,
        network_cidrs: Callable[[], Sequence[str]],
        ssh_user: str = "admin",
        bastion: str = "",
        bastion_known_hosts: str = "",
        deadline: float = 30,
        port: int = SSH_PORT,
    ) -> None:
        self._checkins = checkins
        self._compute = compute
        self._clock = clock
        self._network_cidrs = network_cidrs
        self._user = ssh_user
        self._bastion = parse_bastion(bastion)
        self._bastion_known_hosts = bastion_known_hosts
        self._deadline = deadline
        self._port = port
        self._lock = threading.Lock()
        self._key: EphemeralKey | None = None
        self._jump: Jump | None = None

    def connect(self, instance: Instance, cluster: str) -> SshRemote:
        """Push a 60-second key, open the session, check the host key; tried again until the deadline.

        Raises:
            UnreachableError: no answer in time, or the address is outside the platform's network.
            HostKeyError: the node has not checked in, or answers with another key than it reported.
        """
        what = f"{instance.id} of {cluster}"
        if not instance.alive:
            raise UnreachableError(
                f"{what} is {instance.state}{': ' + instance.reason if instance.reason else ''}",
                hint=f"hcluster nodes {cluster}",
            )
        require_inside(instance.private_ip, self._network_cidrs(), what=what)
        from hcluster.remote import dial, hostkeys
        from hcluster.remote.session import SshRemote

        keys = hostkeys.reported_keys(self._booted(instance.id, cluster, what), what=what)
        ends = self._clock.now() + self._deadline
        while True:
            self._key_of().push(self._compute, instance.id, self._user, self._clock.now())
            left = max(1.0, ends - self._clock.now())
            try:
                transport = dial.open_transport(
                    self._socket(instance.private_ip, left),
                    user=self._user,
                    key=self._key_of().pkey,
                    host_keys=keys,
                    what=what,
                    timeout=left,
                )
                return SshRemote(transport, what=what)
            except HostKeyError:
                raise
            except UnreachableError:
                if self._clock.now() + _RETRY_SECONDS >= ends:
                    raise
                self._clock.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """End the connection to the bastion, when there is one; safe to repeat."""
        with self._lock:
            if self._jump is not None:
                self._jump.close()
                self._jump = None

    def _booted(self, instance: str, cluster: str, what: str) -> dict[str, object]:
        try:
            return dict(self._checkins.read(cluster, instance, "booted").body)
        except NotFoundError:
            raise HostKeyError(
                f"{what} has not checked in yet, so its SSH host key is not known",
                hint=f"wait until hcluster nodes {cluster} shows it booted, or see hcluster logs {cluster} {instance}",
            ) from None

    def _key_of(self) -> EphemeralKey:
        from hcluster.remote.keys import EphemeralKey

        with self._lock:
            if self._key is None:
                self._key = EphemeralKey()
            return self._key

    def _socket(self, address: str, timeout: float) -> object:
        """A connected socket or a channel through the bastion."""
        from hcluster.remote import dial

        if self._bastion is None:
            return dial.open_socket(address, self._port, timeout)
        from hcluster.remote.bastion import Jump

        with self._lock:
            if self._jump is None or not self._jump.alive:
                known = Path.home() / ".ssh" / "known_hosts"
                self._jump = Jump(
                    self._bastion, known_hosts=self._bastion_known_hosts, known_hosts_file=known, timeout=timeout
                )
            jump = self._jump
        return jump.open(address, self._port, timeout)
