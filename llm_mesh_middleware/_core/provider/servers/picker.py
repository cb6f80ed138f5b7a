"""An endpoint picker in the cluster: what it is asked, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

__all__ = ["EndpointPicker", "PickRequest", "Picked"]


@dataclass(frozen=True, slots=True)
class EndpointPicker:
    """Where a picker listens; `fails_open`: without it the mesh picks by itself."""

    address: str
    fails_open: bool = False


class PickRequest(msgspec.Struct, frozen=True):
    """The request that servers are picked for; `headers` begin with its pseudo-headers."""

    picker: EndpointPicker
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        return f"PickRequest({self.picker.address!r})"  # headers and body hold prompts


class Picked(msgspec.Struct, frozen=True):
    """What a picker says: addresses with ports, the best first.

    `status` is that of a refusal, 429 where it sheds load, 503 where it has no server; 0 if it did
    not respond.
    """

    addresses: tuple[str, ...] = ()
    status: int = 200
