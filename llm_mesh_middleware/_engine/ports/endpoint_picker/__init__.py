"""The port to endpoint pickers; grpcio is imported when one is asked."""

from __future__ import annotations

from .pickers import EndpointPickers

__all__ = ["EndpointPickers"]
