"""The instance metadata service, version 2 only."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from hcluster.errors import NodeFailedError, UnreachableError
from hcluster.model.names import TAG_TOLD

BASE = "http://169.254.169.254"
TOKEN_SECONDS = 21600


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, as the cloud says."""

    instance: str
    type: str
    ip: str
    hostname: str
    """Private DNS name."""
    zone: str
    user_data: str
    told: str = ""
    """The value of its tag ``names.TAG_TOLD``, "" when it has none or may not read it."""


class Imds:
    """A session with the metadata service; the token is asked for once."""

    def __init__(self, base: str = BASE, timeout: float = 2.0) -> None:
        self._base = base
        self._timeout = timeout
        self._token = ""

    def _open(self, request: urllib.request.Request) -> str:
        # A proxy from the environment must never see metadata.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=self._timeout) as answer:
            return str(answer.read().decode())

    def _ask_token(self) -> str:
        request = urllib.request.Request(  # noqa: S310 - a fixed http address
            f"{self._base}/latest/api/token",
            method="PUT",
            headers={"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)},
        )
        return self._open(request)

    def get(self, path: str) -> str:
        """Text at ``/latest/PATH``, "" when there is none there.

        Raises:
            UnreachableError: the service does not answer.
        """
        try:
            self._token = self._token or self._ask_token()
            request = urllib.request.Request(  # noqa: S310
                f"{self._base}/latest/{path}", headers={"X-aws-ec2-metadata-token": self._token}
            )
            return self._open(request)
        except urllib.error.HTTPError as cause:
            if cause.code == 404:
                return ""
            raise UnreachableError(f"the metadata service answered {cause.code} for {path}") from cause
        except (OSError, http.client.HTTPException) as cause:
            raise UnreachableError(f"the metadata service does not answer: {cause}") from cause

    def identity(self, deadline_seconds: float = 60) -> Identity:
        """All that the bootstrap needs, waiting for the service while the network comes up.

        Raises:
            UnreachableError: no answer within the deadline.
            NodeFailedError: the service answers, but does not say who this machine is.
        """
        end = time.monotonic() + deadline_seconds
        while True:
            try:
                return self._identity()
            except UnreachableError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _identity(self) -> Identity:
        return Identity(
            instance=self._required("instance-id"),
            type=self._required("instance-type"),
            ip=self._required("local-ipv4"),
            hostname=self._required("local-hostname"),
            zone=self._required("placement/availability-zone"),
            user_data=self.get("user-data"),
            told=self.get(f"meta-data/tags/instance/{TAG_TOLD}").strip(),
        )

    def _required(self, path: str) -> str:
        # With several names in a VPC's DHCP options, local-hostname holds all of them.
        words = self.get(f"meta-data/{path}").split()
        if not words:
            raise NodeFailedError(f"the metadata service has no {path} for this machine")
        return words[0]
