"""Which devices a node's processes may open, beyond those that runc was told of: lists with control groups version 1, a
program with version 2.

Version 1: https://docs.kernel.org/admin-guide/cgroup-v1/devices.html
Version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html#device-controller
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import LocalCloudError

_BLOCK, _CHARACTER = 1, 2
_MAKE_NODE = 1


@dataclass(frozen=True, slots=True)
class Allowed:
    """Devices of one kind and number; ``minor`` None for all of them."""

    kind: str
    """b or c."""
    major: int
    minor: int | None


def allow(group: Path, major: int, minor: int) -> None:
    """Version 1: let the group and those below it open a block device. A group knows only what was allowed when it was
    made, so that each is told, from the top down."""
    for path in sorted([group, *(child for child in group.rglob("*") if child.is_dir())]):
        _tell(path / "devices.allow", f"b {major}:{minor} rwm")


def deny(group: Path, major: int, minor: int) -> None:
    """Version 1: take it back; that goes down by itself."""
    _tell(group / "devices.deny", f"b {major}:{minor} rwm")


def _tell(path: Path, line: str) -> None:
    try:
        path.write_text(line)
    except FileNotFoundError:  # The group ended meanwhile.
        return


# Version 2. Instructions: https://docs.kernel.org/bpf/standardization/instruction-set.html

_LOAD_WORD, _AND, _SHIFT_RIGHT, _SET, _EXIT = 0x61, 0x54, 0x74, 0xB4, 0x95
_JUMP_UNEQUAL = 0x55
_R0, _CONTEXT, _KIND, _ACCESS, _MAJOR, _MINOR = 0, 1, 2, 3, 4, 5
_OFFSETS = {_KIND: 0, _ACCESS: 0, _MAJOR: 4, _MINOR: 8}
"""struct bpf_cgroup_dev_ctx: access (high half) with the kind (low half), major, minor."""


def program(allowed: Sequence[Allowed]) -> bytes:
    """The program that lets pass what is in ``allowed``; making a device node is no opening, and always passes."""
    code = [_instruction(_LOAD_WORD, register, _CONTEXT, offset) for register, offset in _OFFSETS.items()]
    code += [_instruction(_AND, _KIND, value=0xFFFF), _instruction(_SHIFT_RIGHT, _ACCESS, value=16)]
    code += _passes([(_ACCESS, _MAKE_NODE)])
    for one in allowed:
        wanted = [(_KIND, _BLOCK if one.kind == "b" else _CHARACTER), (_MAJOR, one.major)]
        code += _passes(wanted if one.minor is None else [*wanted, (_MINOR, one.minor)])
    return b"".join([*code, _instruction(_SET, _R0, value=0), _instruction(_EXIT)])


def _passes(wanted: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return 1 when each register has its value, else go on behind it."""
    left = len(wanted) + 1
    tests = [
        _instruction(_JUMP_UNEQUAL, register, offset=left - done, value=value)
        for done, (register, value) in enumerate(wanted)
    ]
    return [*tests, _instruction(_SET, _R0, value=1), _instruction(_EXIT)]


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)


_CALL = {"x86_64": 321, "aarch64": 280}
_LOAD, _ATTACH, _DETACH, _BY_ID, _QUERY = 5, 8, 9, 13, 16
_DEVICE_PROGRAM, _DEVICE_HOOK = 15, 6
_MULTI, _REPLACE = 2, 4
_MOST = 64


def enforce(group: Path, allowed: Sequence[Allowed]) -> None:
    """Version 2: put the program of ``allowed`` in the place of what is attached to the group itself.

    Raises:
        LocalCloudError: the kernel refused.
    """
    handle = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fresh = _load(program(allowed))
        try:
            _exchange(handle, fresh)
        finally:
            os.close(fresh)
    finally:
        os.close(handle)


def _load(code: bytes) -> int:
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"Apache-2.0")
    count = len(code) // 8
    return _bpf(
        _LOAD, struct.pack("=IIQQ", _DEVICE_PROGRAM, count, ctypes.addressof(instructions), ctypes.addressof(licence))
    )


def _exchange(group: int, fresh: int) -> None:
    """Attach ``fresh`` instead of what is there: all that are attached must agree, so a further one allows nothing."""
    old = [_bpf(_BY_ID, struct.pack("=I", number)) for number in _attached(group)]
    try:
        if old:
            _bpf(_ATTACH, struct.pack("=IIIII", group, fresh, _DEVICE_HOOK, _MULTI | _REPLACE, old[0]))
        else:
            _bpf(_ATTACH, struct.pack("=IIII", group, fresh, _DEVICE_HOOK, _MULTI))
        for program_handle in old[1:]:
            _bpf(_DETACH, struct.pack("=III", group, program_handle, _DEVICE_HOOK))
    finally:
        for program_handle in old:
            os.close(program_handle)


def _attached(group: int) -> list[int]:
    ids = (ctypes.c_uint32 * _MOST)()
    attributes = bytearray(struct.pack("=IIIIQI", group, _DEVICE_HOOK, 0, 0, ctypes.addressof(ids), _MOST))
    _bpf(_QUERY, attributes)
    count = struct.unpack_from("=I", attributes, 24)[0]
    return list(ids[:count])


def _bpf(command: int, attributes: bytes | bytearray) -> int:
    """bpf(2). What the kernel writes back is in ``attributes`` when that is a bytearray."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(bytes(attributes).ljust(128, b"\0"), 128)
    result = int(libc.syscall(_CALL[platform.machine()], command, buffer, 128))
    if result < 0:
        code = ctypes.get_errno()
        raise LocalCloudError(f"the kernel refused the devices' program ({command}): {os.strerror(code)}")
    if isinstance(attributes, bytearray):
        attributes[:] = buffer.raw[: len(attributes)]
    return result
