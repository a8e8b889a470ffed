"""How `hcluster local` talks to a running cloud: a unix socket that only its owner can open, one request a connection.

A request and its answer are one line of JSON each.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from hcluster import errors
from hcluster.errors import HclusterError, LocalCloudError, UsageError
from hcluster.localcloud.settings import CloudSettings

log = logging.getLogger(__name__)

LONGEST = 1 << 20
"""Bytes of a request."""
DEADLINE = 90.0
"""Seconds that a client waits for its answer: a node may take that long to stop."""
_READ = 5.0
"""Seconds that a client may take to say what it wants."""

Handler = Callable[[str, Mapping[str, Any]], Any]
"""(command, arguments) to values of JSON; raises HclusterError."""


def path_of(settings: CloudSettings) -> Path:
    """The socket of a cloud."""
    return settings.runtime / "control.sock"


# The protocol


def request_line(command: str, arguments: Mapping[str, Any]) -> bytes:
    """A request."""
    return json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n"


def read_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Command and arguments of a request. Raises UsageError for anything else."""
    try:
        document = json.loads(line)
        command, arguments = document["command"], document["arguments"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("the cloud was asked in words that it does not know") from error
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise UsageError("the cloud was asked in words that it does not know")
    return command, arguments


def answer_line(result: Any) -> bytes:
    """The answer to what was done."""
    return json.dumps({"result": result}).encode() + b"\n"


def failure_line(error: HclusterError) -> bytes:
    """The answer to what was not done."""
    told = {
        "kind": type(error).__name__,
        "reference": error.reference,
        "message": error.message,
        "context": error.context,
        "hint": error.hint,
    }
    return json.dumps({"error": told}).encode() + b"\n"


def read_answer(line: bytes) -> Any:
    """The result of an answer. Raises the HclusterError that it tells, LocalCloudError for one that is none."""
    try:
        document = json.loads(line)
        if "error" not in document:
            return document["result"]
        told = document["error"]
        kind = getattr(errors, str(told["kind"]), HclusterError)
        raised = (kind if _plain(kind) else HclusterError)(told["message"], context=told["context"], hint=told["hint"])
        raised.reference = told["reference"]
    except (ValueError, KeyError, TypeError) as error:
        raise LocalCloudError("the local cloud gave no answer", hint="its log says why") from error
    raise raised


def _plain(kind: Any) -> bool:
    """Whether an error of this kind is made of message, context and hint."""
    return isinstance(kind, type) and issubclass(kind, HclusterError) and "__init__" not in vars(kind)


# The server


class Channel(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers on a socket of its own, in threads that sleep while nobody asks. A context manager."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, handler: Handler) -> None:
        """Listens at once; a socket that a killed daemon left is replaced."""
        self._path = path
        self.handler = handler
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Connection)
        self._thread = threading.Thread(target=self._accept, name="channel", daemon=True)

    def server_bind(self) -> None:
        """The file gets the mode of the socket: there is no moment in which others could open it."""
        os.fchmod(self.socket.fileno(), 0o600)
        super().server_bind()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        # Wakes the thread that waits in accept(); closing the descriptor alone would not.
        self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.server_close()

    def _accept(self) -> None:
        """As serve_forever, which would wake up twice a second to look whether it should end."""
        while True:
            try:
                request, address = self.get_request()
            except OSError:
                return
            self.process_request(request, address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """A client that went away is no news."""
        log.debug("a control connection broke")


class _Connection(socketserver.StreamRequestHandler):
    server: Channel
    timeout = _READ

    def handle(self) -> None:
        try:
            command, arguments = read_request(self.rfile.readline(LONGEST))
            log.info("asked for: %s %s", command, json.dumps(arguments))
            answer = answer_line(self.server.handler(command, arguments))
        except HclusterError as error:
            answer = failure_line(error)
        except Exception as error:
            log.exception("a control request failed")
            answer = failure_line(LocalCloudError(f"the local cloud failed: {type(error).__name__}: {error}"))
        self.wfile.write(answer)


# The client


def ask(settings: CloudSettings, command: str, arguments: Mapping[str, Any], timeout: float = DEADLINE) -> Any:
    """What the running cloud answers.

    Raises:
        LocalCloudError: it does not run, does not answer in ``timeout`` seconds, or belongs to somebody else.
        HclusterError: what it says is wrong.
    """
    path = path_of(settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(request_line(command, arguments))
            with connection.makefile("rb") as stream:
                answer = stream.readline()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise LocalCloudError(
                f"the local cloud {settings.name} is not running", hint=f"hcluster local start --name {settings.name}"
            ) from error
        except PermissionError as error:
            raise LocalCloudError(
                f"only its owner may control the local cloud {settings.name}", hint="run hcluster as root"
            ) from error
        except TimeoutError as error:
            raise LocalCloudError(
                f"the local cloud {settings.name} did not answer within {timeout:g} s",
                hint=f"its log says what it does: {settings.log}",
            ) from error
        except OSError as error:
            raise LocalCloudError(f"the local cloud {settings.name} went away: {error}") from error
    return read_answer(answer)
