"""A stateful HiveServer2 made of the TCLIService stubs: sessions, operations, logs, progress, batches, cancellation."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from TCLIService import TCLIService, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSocket, TTransport

from tests.unit.listening import end_listening

APPLICATION = "application_1700000000000_0001"
GOOD = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)


def refusal(message: str) -> ttypes.TStatus:
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.ERROR_STATUS, errorMessage=message)


@dataclass
class Script:
    """How the server answers one statement."""

    columns: Sequence[tuple[str, int]] = ()
    """Name and TTypeId of each."""
    values: Sequence[Any] = ()
    """One thrift column a column."""
    generated: int = 0
    """Instead of values: so many rows of a number and a text, in batches as large as they are asked for."""
    compile_error: str = ""
    error: str = ""
    polls: int = 1
    """GetOperationStatus answers RUNNING this often; -1: until it is cancelled."""
    log: Sequence[str] = ()
    progress: Any = None


@dataclass
class Operation:
    statement: str
    script: Script
    state: int = ttypes.TOperationState.RUNNING_STATE
    polled: int = 0
    fetched: bool = False
    logged: bool = False
    given: int = 0


def generated(start: int, count: int) -> list[Any]:
    """Columns of the rows from ``start``."""
    numbers = range(start, start + count)
    return [
        ttypes.TColumn(i64Val=ttypes.TI64Column(list(numbers), b"")),
        ttypes.TColumn(stringVal=ttypes.TStringColumn([f"row {number}" for number in numbers], b"")),
    ]


@dataclass
class HiveServer:
    """Use it as a context manager; ``remote`` of it opens channels to it."""

    scripts: dict[str, Script] = field(default_factory=dict)
    sessions: list[Any] = field(default_factory=list)
    operations: dict[bytes, Operation] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    refuse_session: str = ""
    forgets: bool = False
    """The session, once."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        end_listening(self._listener, self._accepting)
        self.drop()

    def drop(self) -> None:
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def open_channel(self, host: str, port: int) -> socket.socket:
        """As ``Remote.open_channel``."""
        self.events.append(f"channel {host}:{port}")
        return socket.create_connection(("127.0.0.1", self.port))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        handle = TSocket.TSocket()
        handle.setHandle(client)
        protocol = TBinaryProtocol.TBinaryProtocol(TTransport.TBufferedTransport(handle))
        processor = TCLIService.Processor(self)
        with contextlib.suppress(TTransport.TTransportException, OSError), client:
            while True:
                processor.process(protocol, protocol)

    # The service's calls.

    def OpenSession(self, req: Any) -> Any:  # noqa: N802 - the service's name
        if self.refuse_session:
            return ttypes.TOpenSessionResp(status=refusal(self.refuse_session), serverProtocolVersion=9)
        self.sessions.append(req)
        handle = ttypes.TSessionHandle(ttypes.THandleIdentifier(b"s" * 16, b"x" * 16))
        return ttypes.TOpenSessionResp(status=GOOD, serverProtocolVersion=req.client_protocol, sessionHandle=handle)

    def GetInfo(self, req: Any) -> Any:  # noqa: N802
        if self.forgets:
            self.forgets = False
            return ttypes.TGetInfoResp(status=refusal("Invalid SessionHandle"), infoValue=ttypes.TGetInfoValue(""))
        return ttypes.TGetInfoResp(status=GOOD, infoValue=ttypes.TGetInfoValue("Apache Hive"))

    def CloseSession(self, req: Any) -> Any:  # noqa: N802
        self.events.append("close session")
        return ttypes.TCloseSessionResp(status=GOOD)

    def ExecuteStatement(self, req: Any) -> Any:  # noqa: N802
        script = self.scripts.get(req.statement, Script())
        self.events.append(f"execute {req.statement}")
        if script.compile_error:
            return ttypes.TExecuteStatementResp(status=refusal(script.compile_error))
        guid = f"{len(self.operations):016d}".encode()
        self.operations[guid] = Operation(req.statement, script)
        handle = ttypes.TOperationHandle(
            operationId=ttypes.THandleIdentifier(guid, b"x" * 16),
            operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
            hasResultSet=bool(script.columns),
        )
        return ttypes.TExecuteStatementResp(status=GOOD, operationHandle=handle)

    def _of(self, req: Any) -> Operation:
        return self.operations[req.operationHandle.operationId.guid]

    def GetOperationStatus(self, req: Any) -> Any:  # noqa: N802
        operation = self._of(req)
        operation.polled += 1
        script = operation.script
        running = operation.state == ttypes.TOperationState.RUNNING_STATE
        if running and 0 <= script.polls < operation.polled:
            ended = ttypes.TOperationState.ERROR_STATE if script.error else ttypes.TOperationState.FINISHED_STATE
            operation.state = ended
        return ttypes.TGetOperationStatusResp(
            status=GOOD,
            operationState=operation.state,
            errorMessage=script.error,
            progressUpdateResponse=script.progress,
        )

    def FetchResults(self, req: Any) -> Any:  # noqa: N802
        operation = self._of(req)
        if req.fetchType == 1:
            lines = [] if operation.logged else list(operation.script.log)
            operation.logged = True
            columns = [ttypes.TColumn(stringVal=ttypes.TStringColumn(lines, b""))]
        elif operation.script.generated:
            count = min(req.maxRows, operation.script.generated - operation.given)
            columns = generated(operation.given, count) if count else []
            operation.given += count
            self.events.append(f"fetch {count} of {req.maxRows}")
        else:
            columns = [] if operation.fetched else list(operation.script.values)
            operation.fetched = True
        return ttypes.TFetchResultsResp(
            status=GOOD, hasMoreRows=False, results=ttypes.TRowSet(startRowOffset=0, rows=[], columns=columns)
        )

    def GetResultSetMetadata(self, req: Any) -> Any:  # noqa: N802
        columns = [
            ttypes.TColumnDesc(
                columnName=name,
                position=place,
                typeDesc=ttypes.TTypeDesc([ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(kind))]),
            )
            for place, (name, kind) in enumerate(self._of(req).script.columns)
        ]
        return ttypes.TGetResultSetMetadataResp(status=GOOD, schema=ttypes.TTableSchema(columns))

    def CancelOperation(self, req: Any) -> Any:  # noqa: N802
        self.events.append(f"cancel {self._of(req).statement}")
        self._of(req).state = ttypes.TOperationState.CANCELED_STATE
        return ttypes.TCancelOperationResp(status=GOOD)

    def CloseOperation(self, req: Any) -> Any:  # noqa: N802
        self.events.append(f"close {self._of(req).statement}")
        return ttypes.TCloseOperationResp(status=GOOD)
