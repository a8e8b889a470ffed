"""Preconditions of reads and writes, and ranges. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from hcluster.localcloud.api.s3.problem import problem

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip().removeprefix("W/").strip('"')


def check_write(headers: Mapping[str, str], etag: str | None, key: str = "") -> None:
    """``etag`` of the object that is there now, None when there is none. Raises PreconditionFailed, or NoSuchKey when
    the object that must match is gone."""
    none_match, match = headers.get("if-none-match"), headers.get("if-match")
    if none_match is not None:
        if none_match.strip() != "*":
            raise problem("NotImplemented", Header="If-None-Match")
        if etag is not None:
            raise problem("PreconditionFailed", Condition="If-None-Match")
    if match is not None:
        if etag is None:
            raise problem("NoSuchKey", Key=key)
        if match.strip() != "*" and bare(match) != etag:
            raise problem("PreconditionFailed", Condition="If-Match")


def not_modified(headers: Mapping[str, str], etag: str, modified: float) -> bool:
    """Whether a read is answered with 304. Raises PreconditionFailed.

    As RFC 9110 orders them: an ETag's condition decides where there is one, then that of the time.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None:
        if not _one_of(match, etag):
            raise problem("PreconditionFailed", Condition="If-Match")
    elif (moment := _moment(headers.get("if-unmodified-since"))) is not None and int(modified) > moment:
        raise problem("PreconditionFailed", Condition="If-Unmodified-Since")
    if none_match is not None:
        return _one_of(none_match, etag)
    moment = _moment(headers.get("if-modified-since"))
    return moment is not None and int(modified) <= moment


def check_copy(headers: Mapping[str, str], etag: str, modified: float) -> None:
    """The conditions on a copy's source. Raises PreconditionFailed."""
    start = "x-amz-copy-source-"
    conditions = {name.removeprefix(start): value for name, value in headers.items() if name.startswith(start + "if-")}
    if not_modified(conditions, etag, modified):
        raise problem("PreconditionFailed", Condition="x-amz-copy-source-If-None-Match")


def _one_of(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in {bare(one) for one in header.split(",")}


def _moment(header: str | None) -> int | None:
    if header is None:
        return None
    try:
        found = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, length) of a Range header; None for the whole object. Raises InvalidRange."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    # What is no range of bytes, or several of them, is ignored: the answer is the whole object.
    if found is None or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise _unsatisfiable(header, size)
        return size - length, length
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise _unsatisfiable(header, size)
    end = min(int(last), size - 1) if last else size - 1
    return int(first), end - int(first) + 1


def _unsatisfiable(header: str | None, size: int) -> Exception:
    return problem(
        "InvalidRange",
        headers={"Content-Range": f"bytes */{size}"},
        RangeRequested=str(header),
        ActualObjectSize=str(size),
    )


def copy_range(header: str, size: int) -> tuple[int, int]:
    """(start, length) of x-amz-copy-source-range. Raises InvalidArgument or InvalidRange."""
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", header)
    if found is None or int(found.group(2)) < int(found.group(1)):
        raise problem(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    first, last = int(found.group(1)), int(found.group(2))
    if last >= size:
        raise problem("InvalidRange", f"The specified copy range is invalid for the source object size: {size}")
    return first, last - first + 1
