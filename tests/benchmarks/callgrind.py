"""Counts the instructions of a block of code in a process under `valgrind --tool=callgrind`.

A program speaks to valgrind by a sequence of instructions that does nothing on a processor: the
request's number and arguments are in memory, its address in a register (`valgrind/valgrind.h`).
It is called here as a function of its own, so neither a compiler nor a header is needed.

    start, stop    what runs in between is counted, in all threads; outside of it, with
                   `--instr-atstart=no`, a program takes five times as long, inside fifty times
    dump           writes what was counted to a file of its own, and begins at zero again
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["counted", "why_not"]

# rax: the address of the six numbers. The rotations of rdi add up to 128, so they do nothing.
_X86_64 = bytes.fromhex(
    "4889f8"  # mov rax, rdi
    "31d2"  # xor edx, edx: the result without valgrind
    "48c1c703"
    "48c1c70d"
    "48c1c73d"
    "48c1c733"  # rol rdi by 3, 13, 61, 51
    "4887db"  # xchg rbx, rbx
    "4889d0"  # mov rax, rdx
    "c3"  # ret
)
_CALLGRIND = (ord("C") << 24) + (ord("T") << 16)
_DUMP_AT, _START, _STOP = _CALLGRIND + 3, _CALLGRIND + 4, _CALLGRIND + 5


def why_not() -> str | None:
    """Return why instructions cannot be counted on this machine, None if they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "valgrind is asked by instructions of x86-64"
    if shutil.which("valgrind") is None:
        return "there is no valgrind (Debian: apt-get install valgrind)"
    return None


@contextmanager
def counted(name: str) -> Iterator[None]:
    """Count what runs inside; the totals are in the next file that callgrind writes."""
    label = name.encode() + b"\0"
    _request(_START)
    try:
        yield
    finally:
        _request(_STOP)
        _request(_DUMP_AT, ctypes.cast(label, ctypes.c_void_p).value or 0)


def _request(code: int, argument: int = 0) -> int:
    given = (ctypes.c_uint64 * 6)(code, argument, 0, 0, 0, 0)
    return _function()(ctypes.addressof(given))


_made: Callable[[int], int] | None = None
_code: mmap.mmap | None = None


def _function() -> Callable[[int], int]:
    global _made, _code
    if _made is None:
        _code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        _code.write(_X86_64)
        address = ctypes.addressof(ctypes.c_char.from_buffer(_code))
        _made = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)(address)
    return _made
