"""Frames of an AWS event stream, as a provider writes them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from struct import pack
from zlib import crc32

__all__ = ["chunk", "event", "exception", "frame"]


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    block = b"".join(
        pack("!B", len(name)) + name + pack("!BH", 7, len(value)) + value for name, value in encoded
    )
    lengths = pack("!II", 16 + len(block) + len(payload), len(block))
    body = lengths + pack("!I", crc32(lengths)) + block + payload
    return body + pack("!I", crc32(body))


def event(name: str, payload: object) -> bytes:
    """A frame of ConverseStream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload).encode())


def chunk(inner: object) -> bytes:
    """A frame of InvokeModelWithResponseStream."""
    return event("chunk", {"bytes": b64encode(json.dumps(inner).encode()).decode(), "p": "abcd"})


def exception(name: str, message: str) -> bytes:
    """A frame that tells of an error."""
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode())
