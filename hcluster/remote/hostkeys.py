"""Host keys that a node reported through S3, and the check of the key that it presents."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import paramiko

from hcluster.errors import HostKeyError

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


def reported_keys(body: Mapping[str, object], *, what: str) -> tuple[paramiko.PKey, ...]:
    """The keys of a ``booted`` check-in, ``{"host_keys": ["ssh-ed25519 AAAA… comment", …]}``.

    Lines of types that we cannot check are left out.

    Raises:
        HostKeyError: nothing usable is left.
    """
    lines = body.get("host_keys")
    keys = []
    for line in lines if isinstance(lines, list) else []:
        fields = str(line).split()
        if len(fields) < 2:
            continue
        try:
            keys.append(paramiko.PKey.from_type_string(fields[0], base64.b64decode(fields[1], validate=True)))
        except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, binascii.Error, ValueError):
            continue
    if not keys:
        raise HostKeyError(
            f"the check-in of {what} holds no SSH host key that can be checked",
            hint="read its console with: hcluster logs NAME INSTANCE",
        )
    return tuple(keys)


def algorithms(keys: tuple[paramiko.PKey, ...]) -> tuple[str, ...]:
    """Host key algorithms to offer: only those of ``keys``, so that no other key can be negotiated."""
    names: list[str] = []
    for key in keys:
        name = key.get_name()
        names.extend(_RSA_SIGNATURES if name == "ssh-rsa" else (name,))
    return tuple(dict.fromkeys(names))


def require_known(presented: paramiko.PKey, keys: tuple[paramiko.PKey, ...], *, what: str) -> None:
    """Compare byte for byte.

    Raises:
        HostKeyError: ``presented`` is none of ``keys``.
    """
    if any(presented.asbytes() == key.asbytes() for key in keys):
        return
    raise HostKeyError(
        f"{what} presented an SSH host key that differs from the one in its check-in; nothing was sent to it",
        context=f"presented {presented.fingerprint}, reported {', '.join(key.fingerprint for key in keys)}",
        hint="somebody else may answer at its address: look at hcluster nodes NAME, then replace the node",
    )
