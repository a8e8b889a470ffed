"""The caller's key: made in memory, opened for 60 seconds on one node at a time by EC2 Instance Connect."""

from __future__ import annotations

import io
import threading

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hcluster.ports import Compute

PUSH_AGAIN_SECONDS = 45.0
"""EC2 forgets a pushed key after 60 s; a session opened this long after the push still has time to authenticate."""


class EphemeralKey:
    """A fresh ed25519 key that never touches a disk."""

    def __init__(self) -> None:
        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        self.pkey: paramiko.PKey = paramiko.Ed25519Key.from_private_key(io.StringIO(private.decode()))
        self._pushed: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def public(self) -> str:
        """One line as authorized_keys has it."""
        return f"{self.pkey.get_name()} {self.pkey.get_base64()} hcluster"

    def push(self, compute: Compute, instance: str, user: str, now: float) -> None:
        """Open ``user`` on ``instance`` for this key, unless that was done a moment ago."""
        with self._lock:
            if now - self._pushed.get(instance, float("-inf")) < PUSH_AGAIN_SECONDS:
                return
        compute.push_ssh_key(instance, user, self.public)
        with self._lock:
            self._pushed[instance] = now
