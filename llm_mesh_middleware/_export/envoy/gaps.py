"""Fields of manifests that cannot be exported."""

from __future__ import annotations

from collections.abc import Iterator

from ..._auth.static_key import StaticHeader
from ..._core.routing.table import RoutingTable
from ..._manifest import Manifest
from ...config import used_extensions

__all__ = ["credential_gaps", "field_gaps"]

# Extensions beyond ASM that Envoy can do too, by the end or the middle of their path.
_EXPORTED = (
    "spec.endpoint",
    "spec.tls",
    ".apiKeyFrom",
    ".headers",
    ".method",
    ".path",
    ".timeouts",
    ".retry",
    ".model",  # of a backendRef; as a condition it is found by the routes
    ".attributes",  # found by the routes
    ".priority",  # found by the routes
)


def field_gaps(manifest: Manifest) -> Iterator[str]:
    """Yield each field that is not exported, with its document."""
    for resource in manifest.resources:
        model = resource.model
        if model.kind not in ("LLMProvider", "LLMRoute"):
            yield f"{model.kind} {resource.name}"
            continue
        for name in used_extensions(model):
            if not name.endswith(_EXPORTED):
                yield f"{model.kind} {resource.name}: {name}"


def credential_gaps(table: RoutingTable) -> Iterator[str]:
    """Yield providers whose credential is more than a header field, or whose endpoints change."""
    upstreams = {
        backend.upstream.provider: backend.upstream
        for host in table.hosts
        for rule in host.rules
        for backend in rule.backends
    }
    for name, upstream in upstreams.items():
        if not all(isinstance(each, StaticHeader) for each in upstream.credentials.values()):
            yield f"LLMProvider {name}: its credential is made for each request"
        if len(upstream.endpoints.now()) != 1:
            yield f"LLMProvider {name}: its endpoints come and go"
