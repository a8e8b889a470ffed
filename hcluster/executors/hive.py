"""HiveServer2 over a channel of an SSH session (binary Thrift, NOSASL: the channel is what is authenticated).

PyHive's generated stubs are used, not its cursor: that one cuts timestamps to microseconds, asks for logs twice and
cannot be interrupted between two calls.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from TCLIService import TCLIService, ttypes
from thrift.Thrift import TApplicationException, TException
from thrift.transport import TSocket, TTransport

from hcluster.errors import DeadlineError, QueryError, UnreachableError
from hcluster.executors import hive_text
from hcluster.executors.hive_columns import Column, Value, column_of, rows_of
from hcluster.executors.hive_wire import Protocol
from hcluster.model.events import Progress, Report, silent
from hcluster.ports import Clock, Remote

HIVE_PORT = 10000
STEP = "query"
_FIRST_ROWS = 1000
_MOST_ROWS = 10_000
"""What HiveServer2 gives at most in one call (hive.server2.thrift.resultset.max.fetch.size)."""
_BATCH_BYTES = 2 << 20
"""How large a batch of rows may become: it is all that is kept of a result, here and on the server."""
_READ_BYTES = 1 << 16
_LOG_LINES = 2000
_POLL_SECONDS = 0.2
_CALL_SECONDS = 60.0
_CLOSE_SECONDS = 10.0
_CONTEXT_CHARACTERS = 2000
_STATES = ttypes.TOperationState
_GOOD = (ttypes.TStatusCode.SUCCESS_STATUS, ttypes.TStatusCode.SUCCESS_WITH_INFO_STATUS)
_DEFAULTS = {"hive.resultset.use.unique.column.names": "false"}


@dataclass(slots=True)
class Result:
    """What one statement gave. ``rows`` is fetched while it is read and must be read before the next statement."""

    columns: tuple[Column, ...]
    rows: Iterator[tuple[Value, ...]]
    seconds: float
    """From sending the statement until its rows were there to be read."""
    application_ids: tuple[str, ...] = ()

    def close(self) -> None:
        """Let the server forget the rows that were not read; safe to repeat."""
        if isinstance(self.rows, Generator):
            self.rows.close()


class _Counting(TSocket.TSocket):  # type: ignore[misc] # thrift has no types
    """A socket that knows how many bytes came."""

    received = 0

    def read(self, size: int) -> bytes:
        piece: bytes = super().read(size)
        self.received += len(piece)
        return piece


@dataclass(slots=True)
class _Running:
    """One operation on the server."""

    handle: Any
    statement: str
    logs: list[str] = field(default_factory=list)
    shown: str = ""
    percent: int = 0

    @property
    def applications(self) -> tuple[str, ...]:
        return hive_text.application_ids(self.logs)


def connect(
    remote: Remote,
    *,
    host: str,
    user: str,
    clock: Clock,
    settings: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> HiveSession:
    """Open a session as ``user``; ``settings`` are Hive properties of it. Tried again until ``timeout`` seconds passed.

    Raises:
        UnreachableError: HiveServer2 does not answer on ``host`` (as seen from the node of ``remote``).
        QueryError: it refuses a setting.
    """
    ends = clock.now() + timeout
    while True:
        try:
            return HiveSession(remote.open_channel(host, HIVE_PORT), user=user, settings=settings or {}, clock=clock)
        except UnreachableError as cause:
            if clock.now() + 1 >= ends:
                raise UnreachableError(
                    f"HiveServer2 on {host} does not answer on port {HIVE_PORT}",
                    context=cause.context or cause.message,
                    hint="its log: hcluster logs NAME master --unit hive-server2",
                ) from cause
            clock.sleep(1)


class HiveSession:
    """One session; statements run one after the other. Use it as a context manager."""

    def __init__(self, channel: Any, *, user: str, settings: Mapping[str, str], clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._busy = False
        self._socket = _Counting()
        self._socket.setHandle(channel)
        self._client = TCLIService.Client(Protocol(TTransport.TBufferedTransport(self._socket, _READ_BYTES)))
        request = ttypes.TOpenSessionReq(
            client_protocol=ttypes.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V10,
            username=user,
            configuration={**_DEFAULTS, **settings},
        )
        try:
            self._session = self._call(self._client.OpenSession, request).sessionHandle
        except BaseException:
            channel.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session; the server ends what still runs in it. Safe to repeat."""
        try:
            if not self._busy:
                self._call(self._client.CloseSession, ttypes.TCloseSessionReq(self._session), _CLOSE_SECONDS)
        except (UnreachableError, DeadlineError, QueryError):
            pass  # The server closes a session whose connection ends.
        finally:
            self._busy = True
            self._channel.close()

    def alive(self) -> bool:
        """Whether the server still answers and knows the session: it forgets those that were idle for long."""
        request = ttypes.TGetInfoReq(self._session, ttypes.TGetInfoType.CLI_SERVER_NAME)
        try:
            self._call(self._client.GetInfo, request, _CLOSE_SECONDS)
        except (UnreachableError, DeadlineError, QueryError):
            return False
        return True

    def execute(
        self,
        statement: str,
        *,
        report: Report = silent,
        cancelled: Callable[[], bool] = lambda: False,
        timeout: float = 3600,
    ) -> Result:
        """Run one statement until its rows can be read.

        ``cancelled`` is asked between calls, also while rows are read; when it says yes, or after ``timeout`` seconds,
        the operation is cancelled on the server.

        Raises:
            QueryError: the server refused or failed the statement; with reference ``query-cancelled`` when cancelled.
            DeadlineError: ``timeout`` passed.
            UnreachableError: the connection ended.
        """
        began = self._clock.now()
        ends = began + timeout
        report(Progress(STEP, "compiling"))
        request = ttypes.TExecuteStatementReq(self._session, statement, runAsync=True)
        response = self._call(self._client.ExecuteStatement, request, timeout, statement)
        running = _Running(response.operationHandle, statement)
        try:
            self._wait(running, report, cancelled, ends)
            columns = self._columns(running)
        except BaseException as cause:
            self._abandon(running, report, cause)
            raise
        taken = self._clock.now() - began
        detail = ", ".join(running.applications)
        report(Progress(STEP, f"{taken:.1f} s" + (f" · {detail}" if detail else ""), 100, 100, "ok"))
        return Result(columns, self._rows(running, columns, cancelled, ends), taken, running.applications)

    def _wait(self, running: _Running, report: Report, cancelled: Callable[[], bool], ends: float) -> None:
        while True:
            if cancelled():
                raise QueryError("the query was cancelled", context=running.statement, reference="query-cancelled")
            if self._clock.now() >= ends:
                raise DeadlineError(
                    "the query did not end in time",
                    context=running.statement,
                    hint="give it longer with --timeout SECONDS",
                )
            status = self._call(
                self._client.GetOperationStatus, ttypes.TGetOperationStatusReq(running.handle, getProgressUpdate=True)
            )
            self._read_logs(running)
            state = status.operationState
            if state in (_STATES.INITIALIZED_STATE, _STATES.PENDING_STATE, _STATES.RUNNING_STATE):
                report(_progress(running, status.progressUpdateResponse))
                self._clock.sleep(_POLL_SECONDS)
                continue
            if state == _STATES.FINISHED_STATE:
                running.handle.hasResultSet = bool(running.handle.hasResultSet or status.hasResultSet)
                return
            if state == _STATES.CANCELED_STATE:
                raise QueryError(
                    "the query was cancelled on the server", context=running.statement, reference="query-cancelled"
                )
            named = _STATES._VALUES_TO_NAMES.get(state, "")  # noqa: SLF001 - of the generated stubs
            raise _failure(status.errorMessage or named, running.statement, running.applications)

    def _read_logs(self, running: _Running) -> None:
        """New lines of the operation's log; a server that keeps none is no error."""
        request = ttypes.TFetchResultsReq(
            running.handle, ttypes.TFetchOrientation.FETCH_NEXT, maxRows=_LOG_LINES, fetchType=1
        )
        try:
            answer = self._call(self._client.FetchResults, request)
        except QueryError:
            return
        for column in answer.results.columns or ():
            running.logs.extend(column.stringVal.values if column.stringVal else ())

    def _columns(self, running: _Running) -> tuple[Column, ...]:
        if not running.handle.hasResultSet:
            self._call(self._client.CloseOperation, ttypes.TCloseOperationReq(running.handle))
            return ()
        answer = self._call(self._client.GetResultSetMetadata, ttypes.TGetResultSetMetadataReq(running.handle))
        return tuple(column_of(each) for each in answer.schema.columns)

    def _rows(
        self, running: _Running, columns: tuple[Column, ...], cancelled: Callable[[], bool], ends: float
    ) -> Iterator[tuple[Value, ...]]:
        if not columns:
            return
        request = ttypes.TFetchResultsReq(running.handle, ttypes.TFetchOrientation.FETCH_NEXT, maxRows=_FIRST_ROWS)
        try:
            while True:
                if cancelled():
                    raise QueryError("the query was cancelled", context=running.statement, reference="query-cancelled")
                if self._clock.now() >= ends:
                    raise DeadlineError("the query's rows were not read in time", context=running.statement)
                # The server always says that there are no more rows; only an empty batch tells the end.
                before = self._socket.received
                batch = rows_of(self._call(self._client.FetchResults, request).results)
                if not batch:
                    return
                request.maxRows = _next_rows(len(batch), self._socket.received - before)
                yield from batch
        finally:
            if not self._busy:
                self._call(self._client.CloseOperation, ttypes.TCloseOperationReq(running.handle), _CLOSE_SECONDS)

    def _abandon(self, running: _Running, report: Report, cause: BaseException) -> None:
        """Cancel on the server what still runs there, and say so."""
        if self._busy:
            # Cut off in the middle of a call: the server cancels what a lost connection leaves behind.
            self._channel.close()
            return
        applications = ", ".join(running.applications)
        try:
            if (
                isinstance(cause, DeadlineError | KeyboardInterrupt)
                or getattr(cause, "reference", "") == "query-cancelled"
            ):
                self._call(self._client.CancelOperation, ttypes.TCancelOperationReq(running.handle), _CLOSE_SECONDS)
                report(
                    Progress(STEP, f"cancelled on the server{': ' * bool(applications)}{applications}", state="failed")
                )
            else:
                report(Progress(STEP, f"failed{': ' * bool(applications)}{applications}", state="failed"))
            self._call(self._client.CloseOperation, ttypes.TCloseOperationReq(running.handle), _CLOSE_SECONDS)
        except (UnreachableError, DeadlineError, QueryError):
            report(Progress(STEP, "the server did not confirm the cancellation", state="failed"))

    def _call(self, method: Any, request: Any, timeout: float = _CALL_SECONDS, statement: str = "") -> Any:
        """One call within ``timeout`` seconds; a refusal becomes QueryError, a lost connection UnreachableError."""
        if self._busy:
            raise UnreachableError("the connection to HiveServer2 is closed")
        self._busy = True
        try:
            self._channel.settimeout(timeout)
            response = method(request)
        except TTransport.TTransportException as cause:
            if cause.type == TTransport.TTransportException.TIMED_OUT:
                raise DeadlineError(
                    f"HiveServer2 did not answer within {timeout:.0f} s",
                    hint="its log: hcluster logs NAME master --unit hive-server2",
                ) from cause
            raise _lost(cause) from cause
        except TApplicationException as cause:
            self._busy = False
            raise QueryError("HiveServer2 refused a call", context=str(cause)) from cause
        except (TException, OSError, EOFError) as cause:
            raise _lost(cause) from cause
        self._busy = False
        if response.status.statusCode not in _GOOD:
            raise _failure(response.status.errorMessage or "", statement)
        return response


def _next_rows(rows: int, size: int) -> int:
    """How many rows to ask for after a batch of ``rows`` that took ``size`` bytes."""
    return max(1, min(_MOST_ROWS, rows * _BATCH_BYTES // max(size, 1)))


def _lost(cause: BaseException) -> UnreachableError:
    return UnreachableError(
        "the connection to HiveServer2 ended",
        context=str(cause),
        hint="its log: hcluster logs NAME master --unit hive-server2",
    )


def _failure(message: str, statement: str, applications: Sequence[str] = ()) -> QueryError:
    # Java's stack frames say nothing to the author of a statement, nor does the same cause of each attempt: the logs
    # have them.
    lines = [line for line in message.strip().splitlines() if not line.lstrip().startswith(("at ", "... "))]
    detail = "\n".join(dict.fromkeys(part for part in (statement, *lines) if part.strip()))
    hint = f"all of its logs: hcluster job logs NAME {applications[-1]}" if applications else ""
    return QueryError(hive_text.headline(message), context=detail[:_CONTEXT_CHARACTERS], hint=hint)


def _progress(running: _Running, update: Any) -> Progress:
    """What to show now; the last known text stays when the server has nothing new."""
    found = hive_text.vertices(update.headerNames or (), update.rows or ()) if update else ()
    if found:
        running.shown = hive_text.describe(found)
        running.percent = int(100 * min(1.0, max(0.0, update.progressedPercentage or 0.0)))
    else:
        stages = [stage for stage in map(hive_text.mapreduce_stage, running.logs[-50:]) if stage]
        if stages:
            running.shown, running.percent = stages[-1]
    parts = [*running.applications[-1:], running.shown or ("running" if running.applications else "preparing")]
    return Progress(STEP, " · ".join(parts), running.percent, 100)
