"""The fixtures of tests through the ASGI middleware on real servers."""

from __future__ import annotations

from tests.adapters.meshes import (
    connect,
    kept_providers,
    kept_servers,
    mesh_on,
    patient,
    providers,
    server,
)

__all__ = ["connect", "kept_providers", "kept_servers", "mesh_on", "patient", "providers", "server"]
