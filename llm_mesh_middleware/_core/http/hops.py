"""`x-llm-mesh-hops`: the meshes that a call has passed, to detect loops.

    client -> mesh 1 -> mesh 2 -> provider    a chain: mesh 2 gets "1", the provider gets no field
    client -> mesh 1 -> mesh 2 -> mesh 1      a loop: mesh 1 finds itself, 508
    client -> worker 1 -> worker 2 -> ...     a loop over workers or replicas, each with its own
    mesh: the ninth refuses, 508

A mesh can only be behind plain HTTP, on this host or in a private network, so the field is sent
nowhere else: providers do not need it.
"""

from __future__ import annotations

from functools import lru_cache

from ...exceptions import LoopDetected
from ..values.endpoint import Endpoint
from ..values.headers import Headers
from .peers import is_private_peer

__all__ = ["HOPS", "check_hops", "next_hops"]

HOPS = b"x-llm-mesh-hops"

_MAX_HOPS = 8
_MAX_ID = 32
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".svc", ".home.arpa")


def check_hops(headers: Headers, mesh_id: str) -> None:
    """Refuse a call that has passed this mesh before, or too many meshes.

    Raises:
        LoopDetected: a provider's address leads back to the mesh.
    """
    if HOPS not in headers.by_name or not mesh_id:
        return
    hops = headers.get("x-llm-mesh-hops") or ""
    # A client may send any length: only this much is read.
    seen = [hop.strip() for hop in hops[: (_MAX_HOPS + 1) * (_MAX_ID + 2)].split(",")]
    if mesh_id in seen or len(seen) >= _MAX_HOPS:
        raise LoopDetected(
            "the call has come back to this LLM mesh: the endpoint of a provider leads to the mesh"
            " itself"
        )


def next_hops(headers: Headers, mesh_id: str, endpoint: Endpoint) -> tuple[bytes, bytes] | None:
    """Return the field for a call to `endpoint`, or None if no mesh can be there."""
    if not mesh_id or not _may_be_a_mesh(endpoint.scheme, endpoint.address):
        return None
    if HOPS not in headers.by_name:  # the common case
        return HOPS, mesh_id.encode()
    hops = [hop.strip() for hop in (headers.get("x-llm-mesh-hops") or "").split(",")]
    kept = [hop for hop in hops if hop.isascii() and hop.isalnum() and len(hop) <= _MAX_ID]
    return HOPS, ", ".join([*kept, mesh_id]).encode()


@lru_cache(maxsize=1024)  # of endpoints that the configuration names
def _may_be_a_mesh(scheme: str, address: str) -> bool:
    name = address.lower().rstrip(".")
    return (
        scheme == "http"
        or is_private_peer(name)
        or ("." not in name and ":" not in name)
        or name.endswith((*_PRIVATE_NAMES, ".cluster.local"))
    )
