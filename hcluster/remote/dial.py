"""One try at an authenticated SSH transport whose host key was known beforehand."""

from __future__ import annotations

import errno
import logging
import socket
from typing import Any

import paramiko

from hcluster.errors import HostKeyError, UnreachableError
from hcluster.remote import hostkeys, pulse

KEEPALIVE_SECONDS = 15
_DEAD_PEER_MILLISECONDS = 30_000
_FAST_CIPHERS = "-gcm@openssh.com"
"""They encrypt and authenticate in one pass: half the processor time a byte of paramiko's first choice."""
_LOG = "hcluster.ssh"

# paramiko logs its own trace of every failure; what went wrong is told by the errors raised here.
logging.getLogger(_LOG).addHandler(logging.NullHandler())


def open_socket(address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection; a peer that stops answering ends it within 30 s.

    Raises:
        UnreachableError: refused, no route, or no answer within ``timeout`` seconds.
    """
    try:
        sock = socket.create_connection((address, port), timeout=timeout)
    except OSError as cause:
        reason = "no answer" if isinstance(cause, TimeoutError) else (cause.strerror or str(cause)).lower()
        hint = "is the network of the platform reachable from here? Look at: hcluster doctor"
        if cause.errno == errno.ECONNREFUSED:
            hint = (
                "its SSH service is not up yet or any more: look at hcluster nodes NAME and hcluster logs NAME INSTANCE"
            )
        raise UnreachableError(f"{address} does not answer on port {port}: {reason}", hint=hint) from cause
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A dead peer acknowledges no keep-alive; the kernel then ends the connection instead of retrying for 15 min.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MILLISECONDS)
    return sock


def open_transport(
    sock: Any,
    *,
    user: str,
    key: paramiko.PKey,
    host_keys: tuple[paramiko.PKey, ...],
    what: str,
    timeout: float,
) -> paramiko.Transport:
    """Negotiate, compare the host key, and only then authenticate with ``key``; no agent, no key of the caller's disk.

    Raises:
        UnreachableError: the peer speaks no SSH, ends the connection, or refuses the key.
        HostKeyError: it has none of ``host_keys``.
    """
    transport = paramiko.Transport(sock)
    transport.set_log_channel(_LOG)
    transport.daemon = True
    transport.banner_timeout = timeout
    transport.auth_timeout = timeout
    transport.channel_timeout = timeout
    try:
        options = transport.get_security_options()
        options.ciphers = tuple(sorted(options.ciphers, key=lambda name: not name.endswith(_FAST_CIPHERS)))
        options.key_types = hostkeys.algorithms(host_keys)
        hostkeys.require_known(_negotiate(transport, what, timeout), host_keys, what=what)
        _authenticate(transport, user, key, what)
    except BaseException:
        transport.close()
        sock.close()
        raise
    pulse.keep(transport)
    return transport


def _negotiate(transport: paramiko.Transport, what: str, timeout: float) -> paramiko.PKey:
    """The host key that the peer proved to have."""
    try:
        transport.start_client(timeout=timeout)
        # start_client also returns when its time is over; then there is no key yet, which raises here.
        return transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as cause:
        if "host key" in str(cause):
            raise HostKeyError(
                f"{what} offers no SSH host key of a type that it reported in its check-in; nothing was sent to it",
                context=str(cause),
                hint="somebody else may answer at its address: look at hcluster nodes NAME, then replace the node",
            ) from cause
        raise UnreachableError(f"{what} speaks no SSH that we speak", context=str(cause)) from cause
    except (paramiko.SSHException, EOFError, OSError) as cause:
        raise UnreachableError(
            f"{what} ended the SSH connection before it was set up",
            context=str(cause),
            hint="hcluster logs NAME INSTANCE",
        ) from cause


def _authenticate(transport: paramiko.Transport, user: str, key: paramiko.PKey, what: str) -> None:
    try:
        transport.auth_publickey(user, key)
    except paramiko.AuthenticationException as cause:
        raise UnreachableError(
            f"{what} refused the key that was pushed for its user {user}",
            context=str(cause),
            hint="does its image read EC2 Instance Connect keys? Its SSH log: hcluster logs NAME INSTANCE",
        ) from cause
    except (paramiko.SSHException, EOFError, OSError) as cause:
        raise UnreachableError(f"{what} ended the SSH connection while we logged in", context=str(cause)) from cause
