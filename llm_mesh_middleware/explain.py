"""`Mesh.explain` for commands: its result, its options, and their spelling.

The spelling is curl's, so that a call can be pasted. For writers of adapters; applications use
`Mesh.explain`, `llm-mesh explain`, `flask llm-mesh explain` and `manage.py llm_mesh_explain`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ._core.explaining.explanation import Explanation
from ._core.explaining.findings import (
    BackendExplanation,
    BodyChange,
    MirrorExplanation,
    PolicyExplanation,
    Refusal,
    RuleExplanation,
    ServerExplanation,
    StickyKey,
)
from ._core.routing.retry_policy import RetryPolicy, Verdict
from ._core.routing.timeouts import Timeouts

if TYPE_CHECKING:
    from .mesh import Mesh

__all__ = [
    "OPTIONS",
    "BackendExplanation",
    "BodyChange",
    "Explanation",
    "MirrorExplanation",
    "Option",
    "PolicyExplanation",
    "Refusal",
    "RetryPolicy",
    "RuleExplanation",
    "ServerExplanation",
    "StickyKey",
    "Timeouts",
    "Verdict",
    "ask",
    "read_attribute",
    "read_body",
    "read_header",
    "to_json",
]


class Option(msgspec.Struct, frozen=True):
    """An option of a command, independent of the library that parses the command line."""

    name: str
    help: str
    short: str = ""
    default: str | None = ""
    is_required: bool = False
    is_repeated: bool = False
    is_flag: bool = False

    @property
    def spellings(self) -> tuple[str, ...]:
        """The long form and the short one, if there is one."""
        return (f"--{self.name}", *([self.short] if self.short else []))


OPTIONS = (
    Option("host", "Host of the request.", is_required=True),
    Option("path", "Path of the request. Default: /.", default="/"),
    Option("method", "Method. Default: that of the path's operation."),
    Option("header", "Header, 'name: value'; may be repeated.", "-H", is_repeated=True),
    Option(
        "attribute",
        "Attribute that the application would state, 'name=value'; may be repeated.",
        is_repeated=True,
    ),
    Option("data", "Body: JSON, @file, or - for standard input. Default: {}.", "-d", default=None),
    Option("json", "Print JSON.", is_flag=True),
)


def ask(
    mesh: Mesh,
    *,
    host: str,
    path: str = "/",
    method: str = "",
    header: Sequence[str] = (),
    attribute: Sequence[str] = (),
    data: str | None = None,
) -> Explanation:
    """Explain the request that a command line describes.

    Raises:
        ValueError: an option is malformed; the message repeats no value but a file's name.
    """
    if "/" in host:
        raise ValueError("a host is written without http:// and without a path; --path has that")
    if not path.startswith("/"):
        raise ValueError("a path begins with /")
    try:
        body = read_body(data)
    except OSError as exc:
        file = f" {exc.filename}" if exc.filename else ""
        raise ValueError(f"cannot read the body{file}: {exc.strerror}") from None
    return mesh.explain(
        host,
        path=path,
        method=method,
        headers=[read_header(line) for line in header],
        body=body,
        attributes=dict(read_attribute(text) for text in attribute),
    )


def to_json(explanation: Explanation) -> str:
    """Return the explanation as indented JSON."""
    return json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False)


def read_header(line: str) -> tuple[str, str]:
    """Split `name: value`.

    Raises:
        ValueError: it is malformed; the message does not repeat it.
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
    """Split `name=value`.

    Raises:
        ValueError: it is malformed.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError("an attribute is written 'name=value'")
    return name, value


def read_body(data: str | None) -> bytes:
    """Return the body of curl's `-d`: text, `@file`, `-` or `@-` for standard input.

    Raises:
        OSError: the file cannot be read.
    """
    if data is None:
        return b"{}"
    if data in ("-", "@-"):
        return sys.stdin.buffer.read()
    return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
