"""A stateful YARN over HTTP on loopback: ResourceManager, NodeManagers and JobHistory server behind one port.

Its answers have the shapes of Hadoop 3.4.3's own, oddities included: a list of one is that one, none is null, and what
does not exist is now 404, now 503.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

STAMP = 1795318021901
STARTED = 1_795_318_064_250


def app_id(number: int) -> str:
    return f"application_{STAMP}_{number:04d}"


@dataclass
class App:
    number: int
    name: str = "QuasiMonteCarlo"
    user: str = "jane"
    kind: str = "MAPREDUCE"
    state: str = "RUNNING"
    outcome: str = "UNDEFINED"
    polls_to_die: int = 1
    """How often it is asked for before it has ended, once it is killed."""
    collects: int = 0
    """How often it is asked for before its logs are collected, once it has ended."""
    logs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By container and file."""
    script: list[Callable[[App], None]] = field(default_factory=list)
    """What happens to it, one at each question how it is."""
    killed: int = 0
    forgotten: bool = False
    """By the ResourceManager; what was collected is there."""

    @property
    def id(self) -> str:
        return app_id(self.number)

    def told(self) -> dict[str, Any]:
        ended = self.state in ("FINISHED", "FAILED", "KILLED")
        return {
            "id": self.id,
            "user": self.user,
            "name": self.name,
            "queue": "root.default",
            "state": self.state,
            "finalStatus": self.outcome,
            "progress": 100.0 if ended else 41.666668,
            "diagnostics": "",
            "applicationType": self.kind,
            "startedTime": STARTED + self.number,
            "finishedTime": STARTED + 60_000 if ended else 0,
            "elapsedTime": 60_000,
            "allocatedMB": -1 if ended else 1536,
            "allocatedVCores": -1 if ended else 2,
            "runningContainers": -1 if ended else 2,
            "logAggregationStatus": ("RUNNING" if self.collects else "SUCCEEDED") if ended else "NOT_START",
        }

    def step(self) -> None:
        if self.script:
            self.script.pop(0)(self)
        if self.killed and self.state not in ("FINISHED", "FAILED", "KILLED"):
            self.polls_to_die -= 1
            if self.polls_to_die < 0:
                self.state = self.outcome = "KILLED"
        elif self.collects:
            self.collects -= 1


class Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class YarnServer:
    """Use it as a context manager; it is a ``Remote`` whose channels all lead to it."""

    apps: list[App] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_PUT(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, body: bytes) -> None:
                try:
                    found = world.answer(self.command, self.path, body)
                    status = 202 if self.command == "PUT" else 200
                except Refused as refused:
                    status, found = refused.status, {"RemoteException": {"message": str(refused)}}
                data = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._serving.join(30)
        self._server.server_close()

    def open_channel(self, host: str, port: int) -> socket.socket:
        self.calls.append(f"channel {host}:{port}")
        return socket.create_connection(self._server.server_address[:2])  # type: ignore[arg-type]

    def close(self) -> None:
        self.calls.append("closed")

    def answer(self, method: str, path: str, body: bytes) -> Any:
        self.calls.append(f"{method} {path}")
        url = urlsplit(path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        words = url.path.removeprefix("/ws/v1/").split("/")
        if words[:2] == ["cluster", "apps"]:
            return self._cluster(method, words[2:], asked, body)
        if words[-1] == "aggregatedlogs":
            found = [app for app in self.apps if app.id == asked["appid"] and app.logs and not app.collects]
            if not found:
                raise Refused(503, f"java.io.IOException: Can not find remote application directory for {asked}")
            frames = [self._info(container, files, "_") for container, files in found[0].logs.items()]
            return {"containerLogsInfo": frames[0] if len(frames) == 1 else frames}
        containers = {container: files for app in self.apps for container, files in app.logs.items()}
        if words[-1] == "logs":
            return {"containerLogsInfo": self._info(words[2], containers[words[2]], ":")}
        return self._file(words[0] == "history", words[2], containers, words[3], int(asked.get("size", "0")))

    def _cluster(self, method: str, words: list[str], asked: dict[str, str], body: bytes) -> Any:
        apps = [app for app in self.apps if not app.forgotten]
        if not words:
            states = asked["states"].split(",") if "states" in asked else None
            found = [
                app.told()
                for app in apps
                if (states is None or app.state in states) and asked.get("user", app.user) == app.user
            ]
            return {"apps": {"app": found} if found else None}
        known = [app for app in apps if app.id == words[0]]
        if not known:
            raise Refused(404, f"java.lang.Exception: app with id: {words[0]} not found")
        (app,) = known
        if method == "PUT":
            assert json.loads(body) == {"state": "KILLED"}
            app.killed += 1
            return {"state": app.state}
        if words[1:] == ["appattempts"]:
            return {"appAttempts": {"appAttempt": [{"appAttemptId": "appattempt_1"}]}}
        if words[-1] == "containers":
            found = [{"containerId": each, "nodeHttpAddress": "http://worker-1:8042"} for each in app.logs]
            return {"container": found[0] if len(found) == 1 else found}
        app.step()
        return {"app": app.told()}

    @staticmethod
    def _info(container: str, files: dict[str, bytes], mark: str) -> dict[str, Any]:
        sizes = [{"fileName": name, "fileSize": str(len(text))} for name, text in files.items()]
        return {"containerLogInfo": sizes, "containerId": container, "nodeId": f"worker-1{mark}8041"}

    @staticmethod
    def _file(collected: bool, container: str, containers: dict[str, dict[str, bytes]], name: str, size: int) -> bytes:
        text = containers[container][name]
        kind = "AGGREGATED" if collected else "LOCAL"
        head = f"Container: {container} on worker-1\nLogAggregationType: {kind}\n=====\nLogType:{name}\n"
        head += f"LogLength:{len(text)}\nLogContents:\n"
        still = "This log file belongs to a running container and so may not be complete."
        end = f"{chr(10) * collected}End of LogType:{name}{'' if collected else '.' + still}\n*******\n\n"
        return head.encode() + (text[size:] if size else text) + end.encode()
