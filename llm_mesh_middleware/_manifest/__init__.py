"""From YAML text to models that know where they were written."""

from __future__ import annotations

from .documents import PYTHON, Manifest, Resource, parse_manifest

__all__ = ["PYTHON", "Manifest", "Resource", "parse_manifest"]
