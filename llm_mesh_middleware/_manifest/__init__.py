"""From YAML text to models that know where they were written."""

from __future__ import annotations

from .documents import Manifest, Resource, parse_manifest

__all__ = ["Manifest", "Resource", "parse_manifest"]
