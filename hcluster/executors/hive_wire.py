"""The binary Thrift protocol, decoded by thrift's C module: a batch of rows in a seventh of the time.

PyHive's stubs are of a generator that described a struct within a struct by a tuple; the C module of today wants a
list there, and a description that may be filled in later. Their descriptions are translated once for each class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thrift.protocol import TBinaryProtocol
from thrift.Thrift import TType

Decode = Callable[[Any, Any, list[Any]], None]


class Protocol(TBinaryProtocol.TBinaryProtocol):  # type: ignore[misc] # thrift has no types
    """TBinaryProtocol whose answers are read by C where thrift was built with it, and in Python elsewhere."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        decode = _c_decoder()
        if decode is not None:
            # What the stubs look for; they hand over the object, the protocol, and the class with its description.
            self._fast_decode = lambda target, _protocol, described: decode(target, self, _described(described[0]))


def _c_decoder() -> Decode | None:
    try:
        from thrift.protocol import fastbinary
    except ImportError:
        return None
    found: Decode = fastbinary.decode_binary
    return found


_KNOWN: dict[type, list[Any]] = {}
"""The translated description of each generated class; they do not change while a process lives."""


def _described(kind: type) -> list[Any]:
    """``[class, fields]`` as the C module wants it."""
    known = _KNOWN.get(kind)
    if known is None:
        # Entered before its fields are looked at: a struct may hold one of its own kind.
        known = _KNOWN[kind] = [kind, None]
        known[1] = tuple(_field(each) for each in kind.thrift_spec)  # type: ignore[attr-defined] # generated
    return known


def _field(described: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """One field; numbers that no field has stay None."""
    if described is None:
        return None
    number, kind, name, argument, default = described
    return number, kind, name, _argument(kind, argument), default


def _argument(kind: int, argument: Any) -> Any:
    """What a kind needs to know besides itself: a struct its class, a list and a map what is in them."""
    if kind == TType.STRUCT:
        return _described(argument[0])
    if kind in (TType.LIST, TType.SET):
        element, inner, immutable = argument
        return element, _argument(element, inner), immutable
    if kind == TType.MAP:
        key, of_key, value, of_value, immutable = argument
        return key, _argument(key, of_key), value, _argument(value, of_value), immutable
    return argument
