"""The port to endpoint pickers; h2 is imported when one is asked."""

from __future__ import annotations

from .pickers import EndpointPickers

__all__ = ["EndpointPickers"]
