"""Resources and instrumentation scopes; a process has few, and they do not change.

ResourceSpans, ResourceMetrics   1 Resource {1: attributes}   2 scopes   3 schema
ScopeSpans, ScopeMetrics         1 InstrumentationScope   2 spans or metrics   3 schema
InstrumentationScope             1 name   2 version   3 attributes
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from .wire import attributes, field, tagged

__all__ = ["of_resource", "of_scope"]


def of_resource(resource: Resource, scopes: Iterable[bytes]) -> bytes:
    """Return everything of one resource, as a field of a request."""
    head, schema = _resource(resource)
    return tagged(1, b"".join([head, *(tagged(2, each) for each in scopes), schema]))


def of_scope(scope: InstrumentationScope | None, fields: Iterable[bytes]) -> bytes:
    """Return everything of one scope; `fields` are spans or metrics, each a field by itself."""
    head, schema = _scope(scope)
    return b"".join([head, *fields, schema])


@lru_cache(maxsize=8)
def _resource(resource: Resource) -> tuple[bytes, bytes]:
    return tagged(1, attributes(1, resource.attributes)), field(3, resource.schema_url)


@lru_cache(maxsize=256)
def _scope(scope: InstrumentationScope | None) -> tuple[bytes, bytes]:
    if scope is None:
        return tagged(1, b""), b""
    message = field(1, scope.name) + field(2, scope.version) + attributes(3, scope.attributes)
    return tagged(1, message), field(3, scope.schema_url)
