"""HTTP to a daemon's REST interface over a channel of an SSH session: no address of a cluster is ever dialled."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Iterator
from typing import Any

from hcluster.errors import DeadlineError, HclusterError, NotFoundError, UnreachableError
from hcluster.ports import Remote

_CALL_SECONDS = 60.0
_CHUNK = 1 << 16
_HINT = "is it up? hcluster logs NAME master --unit {unit}"


class _Raw(io.RawIOBase):
    """A channel as the file that http.client reads; paramiko's own lacks what that expects of one."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._channel.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Socket:
    """A channel as the socket that http.client writes to."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def sendall(self, data: bytes) -> None:
        self._channel.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._channel))

    def close(self) -> None:
        """http.client does so while the answer is still read from its file; whoever opened the channel closes it."""


class Rest:
    """One daemon: ``host`` and ``port`` as the node of ``remote`` sees them; a connection for each call.

    Every method raises UnreachableError when nobody answers, DeadlineError when the answer takes longer than a minute,
    NotFoundError when there is no such thing, and HclusterError (``yarn-refused``) for all else.
    """

    def __init__(self, remote: Remote, host: str, port: int, *, what: str, unit: str) -> None:
        self._remote = remote
        self._host = host
        self._port = port
        self._what = what
        self._hint = _HINT.format(unit=unit)

    def get(self, path: str) -> dict[str, Any]:
        """A JSON document."""
        return _document(b"".join(self._call("GET", path, "application/json")), self._what)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for a change; the answer's document."""
        return _document(b"".join(self._call("PUT", path, "application/json", json.dumps(body).encode())), self._what)

    def text(self, path: str) -> Iterator[bytes]:
        """A file, piece by piece."""
        return self._call("GET", path, "text/plain, */*;q=0.5")

    def _call(self, method: str, path: str, accept: str, body: bytes | None = None) -> Iterator[bytes]:
        channel: Any = self._remote.open_channel(self._host, self._port)
        try:
            channel.settimeout(_CALL_SECONDS)
            connection = http.client.HTTPConnection(self._host, self._port)
            connection.sock = _Socket(channel)
            headers = {"Accept": accept, "Connection": "close"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise self._refusal(answer.status, answer.read(_CHUNK))
            while piece := answer.read(_CHUNK):
                yield piece
            if answer.length:
                # Read piece by piece, an answer that was cut off looks like one that is over.
                raise http.client.IncompleteRead(b"", answer.length)
        except TimeoutError as cause:
            raise DeadlineError(f"{self._what} did not answer within {_CALL_SECONDS:.0f} s", hint=self._hint) from cause
        except (OSError, EOFError, http.client.HTTPException) as cause:
            raise UnreachableError(
                f"the connection to {self._what} ended", context=str(cause), hint=self._hint
            ) from cause
        finally:
            channel.close()

    def _refusal(self, status: int, body: bytes) -> HclusterError:
        try:
            told = str(json.loads(body)["RemoteException"].get("message") or "")
        except (ValueError, LookupError, TypeError, AttributeError):
            told = ""
        reason = told.strip() or f"HTTP {status}"
        if status == http.client.NOT_FOUND:
            return NotFoundError(f"{self._what} does not know that: {reason}")
        return HclusterError(f"{self._what} refused: {reason}", hint=self._hint, reference="yarn-refused")


def _document(body: bytes, what: str) -> dict[str, Any]:
    if not body:
        return {}
    try:
        found = json.loads(body)
    except ValueError as cause:
        raise HclusterError(
            f"{what} answered something that is no JSON",
            context=body[:200].decode(errors="replace"),
            reference="yarn-refused",
        ) from cause
    return found if isinstance(found, dict) else {}


def listed(told: Any) -> list[dict[str, Any]]:
    """A list as YARN writes it: one of a single thing is that thing, an empty one may be missing."""
    return [told] if isinstance(told, dict) else list(told or ())
