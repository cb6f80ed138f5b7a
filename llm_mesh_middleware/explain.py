"""`Mesh.explain` for commands: its result, and how its arguments are written on a command line.

The spelling is curl's, so that a call that puzzles somebody can be pasted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ._core.explaining.explanation import (
    BackendExplanation,
    BodyChange,
    Explanation,
    Refusal,
    RuleExplanation,
    StickyKey,
)

__all__ = [
    "BackendExplanation",
    "BodyChange",
    "Explanation",
    "Refusal",
    "RuleExplanation",
    "StickyKey",
    "read_attribute",
    "read_body",
    "read_header",
]


def read_header(line: str) -> tuple[str, str]:
    """`name: value` as a pair.

    Raises:
        ValueError: it is written otherwise. The message does not repeat it.
    """
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ValueError("a header is written 'name: value'")
    try:
        name.encode("ascii")
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("a header can hold latin-1 characters only, its name ASCII only") from None
    return name.strip().lower(), value.strip()


def read_attribute(text: str) -> tuple[str, str]:
    """`name=value` as a pair.

    Raises:
        ValueError: it is written otherwise.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError("an attribute is written 'name=value'")
    return name, value


def read_body(data: str | None) -> bytes:
    """The body that curl's `-d` means: the text, `@file`, or `-` and `@-` for standard input.

    Raises:
        OSError: the file cannot be read.
    """
    if data is None:
        return b"{}"
    if data in ("-", "@-"):
        return sys.stdin.buffer.read()
    return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
