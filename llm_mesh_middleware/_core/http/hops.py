"""`x-llm-mesh-hops`: the meshes that a call has passed, so that none of them serves it twice.

    client -> mesh 1 -> mesh 2 -> provider    a chain: mesh 2 hears of "1", the provider of nothing
    client -> mesh 1 -> mesh 2 -> mesh 1      a loop: mesh 1 finds itself, 508
    client -> worker 1 -> worker 2 -> ...     a loop over workers or replicas, each a mesh of its
                                              own: it ends with the ninth, 508

A mesh can only be behind plain HTTP, on this host or in a private network, so that the field goes
nowhere else: it is nobody's business at a provider.
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
    """Refuse a call that this mesh handles already, or that too many have handled.

    Raises:
        LoopDetected: it comes back, because a provider leads to the mesh itself.
    """
    if HOPS not in headers.names() or not mesh_id:
        return
    hops = headers.get("x-llm-mesh-hops") or ""
    # A client may write anything: at most so much of it is looked at.
    seen = [hop.strip() for hop in hops[: (_MAX_HOPS + 1) * (_MAX_ID + 2)].split(",")]
    if mesh_id in seen or len(seen) >= _MAX_HOPS:
        raise LoopDetected(
            "the call has come back to this LLM mesh: the endpoint of a provider leads to the mesh"
            " itself"
        )


def next_hops(headers: Headers, mesh_id: str, endpoint: Endpoint) -> tuple[bytes, bytes] | None:
    """Return the field for a call to `endpoint`, or None where no mesh can be behind it."""
    if not mesh_id or not _may_be_a_mesh(endpoint.scheme, endpoint.address):
        return None
    if HOPS not in headers.names():  # as nearly always
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
