"""The connection to a bastion, shared by all sessions of a connector.

The bastion is the caller's own host, so unlike for nodes the caller's agent and keys are used; its host key must be
known beforehand all the same.
"""

from __future__ import annotations

import io
from pathlib import Path

import paramiko

from hcluster.errors import HostKeyError, UnreachableError
from hcluster.remote import dial
from hcluster.remote.address import Bastion


class Jump:
    """An open connection to a bastion.

    Raises:
        UnreachableError: it does not answer within ``timeout`` seconds or refuses all keys.
        HostKeyError: its host key is unknown or another one.
    """

    def __init__(self, bastion: Bastion, *, known_hosts: str, known_hosts_file: Path, timeout: float) -> None:
        self._bastion = bastion
        self._client = paramiko.SSHClient()
        self._client.set_log_channel("hcluster.ssh")
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        _load(self._client.get_host_keys(), known_hosts, known_hosts_file)
        try:
            if self._client.get_host_keys().lookup(bastion.known_hosts_name) is None:
                raise self._unknown()
            self._client.connect(
                bastion.host,
                port=bastion.port,
                username=bastion.user or None,
                sock=dial.open_socket(bastion.host, bastion.port, timeout),
                timeout=timeout,
                banner_timeout=timeout,
                auth_timeout=timeout,
                channel_timeout=timeout,
            )
        except paramiko.BadHostKeyException as cause:
            self._client.close()
            raise HostKeyError(
                f"the bastion {bastion.host} presented another SSH host key than the known one",
                context=str(cause),
                hint=f"when that is right, remove the old one: ssh-keygen -R {bastion.known_hosts_name!r}",
            ) from cause
        except (paramiko.SSHException, OSError, EOFError) as cause:
            self._client.close()
            raise UnreachableError(
                f"the bastion {bastion.host}:{bastion.port} refused the connection",
                context=str(cause),
                hint=f"this must work: ssh -p {bastion.port} {f'{bastion.user}@' * bool(bastion.user)}{bastion.host}",
            ) from cause
        transport = self._client.get_transport()
        if transport is not None:
            transport.set_keepalive(dial.KEEPALIVE_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether it still stands."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def open(self, address: str, port: int, timeout: float) -> paramiko.Channel:
        """A channel to ``address`` as the bastion reaches it.

        Raises:
            UnreachableError: the bastion cannot open it.
        """
        transport = self._client.get_transport()
        if transport is None:
            raise UnreachableError(f"the connection to the bastion {self._bastion.host} was closed")
        try:
            return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout)
        except (paramiko.SSHException, OSError, EOFError) as cause:
            raise UnreachableError(
                f"{address}:{port} is not reachable through the bastion {self._bastion.host}",
                context=str(cause),
                hint="hcluster doctor",
            ) from cause

    def close(self) -> None:
        """End it; safe to repeat."""
        self._client.close()

    def _unknown(self) -> HostKeyError:
        name = self._bastion.known_hosts_name
        return HostKeyError(
            f"the SSH host key of the bastion {self._bastion.host} is not known",
            hint=f"connect once with ssh and compare the fingerprint, so that ~/.ssh/known_hosts holds {name}",
        )


def _load(keys: paramiko.HostKeys, text: str, file: Path) -> None:
    """Keys from ``text``, or from ``file`` when there is no text. Lines that cannot be read are left out."""
    if not text and file.is_file():
        text = file.read_text(encoding="utf-8", errors="replace")
    for raw in io.StringIO(text):
        line = raw.strip()
        if not line or line.startswith(("#", "@")):
            continue
        try:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(line)
        except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
            continue
        if entry is not None and entry.key is not None:
            for name in entry.hostnames:
                keys.add(name, entry.key.get_name(), entry.key)
