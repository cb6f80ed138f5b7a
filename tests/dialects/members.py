"""A JSON object taken apart by the standard library's scanner, each value left as it is written."""

from __future__ import annotations

import json
from json.decoder import scanstring


def members(body: bytes) -> dict[str, str]:
    """The members of an object that is written without space between them, none twice."""
    text, found = body.decode(), {}
    assert text[0] == "{"
    decoder, at = json.JSONDecoder(), 1
    while text[at] != "}":
        name, at = scanstring(text, at + 1)
        assert text[at] == ":"
        _, end = decoder.raw_decode(text, at + 1)
        assert name not in found
        found[name] = text[at + 1 : end]
        at = end + (text[end] == ",")
    assert at == len(text) - 1
    return found
