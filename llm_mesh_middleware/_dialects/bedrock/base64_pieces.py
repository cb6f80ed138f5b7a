"""Joins the pieces of a blob: each is base64 by itself, and may end with padding."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence

__all__ = ["joined_base64"]


def joined_base64(pieces: Sequence[str]) -> str:
    """Return base64 of all the pieces' bytes; nothing if one of them is not base64."""
    if all(len(piece) % 4 == 0 and not piece.endswith("=") for piece in pieces[:-1]):
        return "".join(pieces)
    try:
        return b64encode(b"".join(b64decode(piece) for piece in pieces)).decode()
    except ValueError:
        return ""
