"""Answers of HiveServer2 read by thrift's C module are those that the generated stubs read by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from TCLIService import TCLIService, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.transport import TTransport

from hcluster.executors import hive_wire
from hcluster.executors.hive_wire import Protocol

GOOD = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS, infoMessages=["one", "é"])
COLUMNS = [
    ttypes.TColumn(boolVal=ttypes.TBoolColumn([True, False, True], b"\x02")),
    ttypes.TColumn(byteVal=ttypes.TByteColumn([1, -2, 3], b"")),
    ttypes.TColumn(i16Val=ttypes.TI16Column([1, -2, 3], b"")),
    ttypes.TColumn(i32Val=ttypes.TI32Column([1, -2, 3], b"")),
    ttypes.TColumn(i64Val=ttypes.TI64Column([1, -2, 1 << 62], b"\xff")),
    ttypes.TColumn(doubleVal=ttypes.TDoubleColumn([0.1, float("inf"), -3.5], b"")),
    ttypes.TColumn(stringVal=ttypes.TStringColumn(["", "é\x00☃", "x" * 100_000], b"\x80\x01")),
    ttypes.TColumn(binaryVal=ttypes.TBinaryColumn([b"", b"\xff\xfe", b"x"], b"\x01")),
]
ANSWERS = [
    TCLIService.FetchResults_result(
        ttypes.TFetchResultsResp(GOOD, False, ttypes.TRowSet(startRowOffset=0, rows=[], columns=COLUMNS))
    ),
    TCLIService.GetResultSetMetadata_result(
        ttypes.TGetResultSetMetadataResp(
            GOOD,
            ttypes.TTableSchema(
                [
                    ttypes.TColumnDesc(
                        columnName="n",
                        position=1,
                        typeDesc=ttypes.TTypeDesc(
                            [
                                ttypes.TTypeEntry(
                                    primitiveEntry=ttypes.TPrimitiveTypeEntry(
                                        ttypes.TTypeId.DECIMAL_TYPE,
                                        ttypes.TTypeQualifiers({"scale": ttypes.TTypeQualifierValue(i32Value=2)}),
                                    )
                                )
                            ]
                        ),
                    )
                ]
            ),
        )
    ),
    TCLIService.OpenSession_result(
        ttypes.TOpenSessionResp(
            GOOD, 9, ttypes.TSessionHandle(ttypes.THandleIdentifier(b"\xff" * 16, b"\x80" * 16)), {"a": "é"}
        )
    ),
    TCLIService.GetOperationStatus_result(
        ttypes.TGetOperationStatusResp(
            GOOD, 2, progressUpdateResponse=ttypes.TProgressUpdateResp(["A"], [["1", "2"]], 0.5, 0, "", 1)
        )
    ),
]


def encoded(answer: Any) -> bytes:
    out = TTransport.TMemoryBuffer()
    answer.write(TBinaryProtocol.TBinaryProtocol(out))
    return bytes(out.getvalue())


def decoded(kind: type[Any], data: bytes, protocol: type[Any]) -> Any:
    found = kind()
    found.read(protocol(TTransport.TBufferedTransport(TTransport.TMemoryBuffer(data))))
    return found


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_the_c_module_reads_what_the_stubs_read(answer: Any) -> None:
    data = encoded(answer)
    assert decoded(type(answer), data, Protocol) == decoded(type(answer), data, TBinaryProtocol.TBinaryProtocol)


def test_text_that_is_no_utf_8_is_shown_with_marks_instead_of_ending_the_query() -> None:
    data = encoded(ANSWERS[0]).replace("é\x00☃".encode(), b"\xc3\xc3\x00\xff\xff\xff")
    column = decoded(TCLIService.FetchResults_result, data, Protocol).success.results.columns[6]
    assert column.stringVal.values[1].count("\ufffd") >= 4


def test_without_the_c_module_the_stubs_read_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hive_wire, "_c_decoder", lambda: None)
    data = encoded(ANSWERS[0])
    assert decoded(TCLIService.FetchResults_result, data, Protocol).success.results.columns == COLUMNS
