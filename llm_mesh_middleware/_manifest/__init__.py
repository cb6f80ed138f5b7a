"""Parse YAML text to models that know their places."""

from __future__ import annotations

from .documents import parse_manifest, parse_object
from .resources import PYTHON, Manifest, Resource, Secret, SecretName

__all__ = [
    "PYTHON",
    "Manifest",
    "Resource",
    "Secret",
    "SecretName",
    "parse_manifest",
    "parse_object",
]
