"""Finds the Secrets that documents refer to, and their contents."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping

from llm_mesh_middleware.sources import Secret, SecretName

from ..connection import Object
from ..faults import APIFault
from ..resources import is_name, member

__all__ = ["decode", "referred", "unread"]

# The deepest: bedrockConfig, credentials, secretAccessKeyFrom, secretKeyRef.
_DEPTH = 4


def referred(documents: Iterable[Object]) -> frozenset[SecretName]:
    """Return the Secrets that `secretKeyRef` names, in the document's namespace.

    The objects may be invalid; parsing them later reports it.
    """
    return frozenset(name for document in documents for name in _referred(document))


def _referred(document: Object) -> Iterator[SecretName]:
    namespace = member(document, "metadata", "namespace")
    configs = member(document, "spec", "configs")
    specific = member(configs, "routeSpecificConfigs")
    every = [member(configs, "defaultConfig")]
    every += list(specific.values()) if isinstance(specific, Mapping) else []
    guards = member(document, "spec", "guards")
    every += guards if isinstance(guards, list) else []
    for name in (name for config in every for name in _names(config, _DEPTH)):
        if isinstance(namespace, str) and is_name(name):
            yield namespace, str(name)


def _names(value: object, depth: int) -> Iterator[object]:
    """Yield the name in each `secretKeyRef` below a configuration, such as an `apiKeyFrom`."""
    if not isinstance(value, Mapping) or not depth:
        return
    for key, inner in value.items():
        if key == "secretKeyRef":
            yield member(inner, "name")
        else:
            yield from _names(inner, depth - 1)


def decode(found: Object | None) -> Secret:
    """Decode an API server's Secret."""
    if found is None:
        return Secret(fault="does not exist")
    encoded = found.get("data") or {}
    try:
        data = {key: base64.b64decode(text, validate=True) for key, text in encoded.items()}
    except (AttributeError, binascii.Error, TypeError, ValueError):
        return Secret(fault="holds data that is not base64")
    return Secret(data)


def unread(fault: APIFault) -> Secret:
    """Return a Secret that may not be read."""
    return Secret(fault=f"cannot be read: {fault}")
