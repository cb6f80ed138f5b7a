"""The upstream call that would be made, with its secrets masked."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from ...exceptions import UnsupportedField
from ..balance.backends import Backend
from ..dialect import ServedOperation, Transformer
from ..http.forwarding import ForwardPolicy
from ..provider.upstream import Upstream, call_headers
from ..values.messages import ClientRequest, Deadline, UpstreamRequest
from ..values.payload import Fields, decode_fields
from .findings import BackendExplanation, BodyChange
from .redaction import MASK, Mask

__all__ = ["explain_call"]

_PORTS = {"http": 80, "https": 443}
# Fields that the mesh sets itself, with nothing private in them.
_PLAIN_HEADERS = frozenset(("accept-encoding", "content-type", "host"))
# Members that are shown unmasked; any other text may be private.
_PLAIN_MEMBERS = frozenset(("model", "stream", "stream_options"))
_PLAIN_QUERY = frozenset(("api-version",))
_SCALARS = (b"true", b"false", b"null")
_MAX_VALUE = 120


def explain_call(
    backend: Backend,
    operation: ServedOperation,
    request: ClientRequest,
    *,
    forward: ForwardPolicy,
    mask: Mask,
    share: float,
    score: float | None,
    is_sticky_choice: bool,
) -> BackendExplanation:
    """Explain what `backend` would be sent for `request`; of several models the first."""
    explained = BackendExplanation(
        provider=backend.upstream.provider,
        host=backend.upstream.host,
        priority=backend.priority,
        weight=backend.weight,
        share=share,
        score=score,
        is_sticky_choice=False,
        model=backend.upstream.model,
        method=operation.method,
        client_dialect=operation.dialect.name,
    )
    upstream = backend.upstream.rewritten(request.model, lambda: 0.0)
    try:
        transformer = upstream.transformer(request, operation)
    except UnsupportedField as error:  # another backend's dialect may have the field
        return replace(explained, refusal=error.message)
    sent = decode_fields(transformer.body()) if operation.has_body else {}
    return replace(
        explained,
        is_sticky_choice=is_sticky_choice,
        model=transformer.model,
        url=_url(upstream, transformer.target),
        connects_to=_connects_to(upstream),
        headers=tuple(_headers(upstream, operation, request, transformer, forward, mask)),
        body=tuple(_changes(request.fields, sent, mask)),
        dialect=transformer.dialect,
        dropped=transformer.dropped,
    )


def _headers(
    upstream: Upstream,
    operation: ServedOperation,
    request: ClientRequest,
    transformer: Transformer,
    forward: ForwardPolicy,
    mask: Mask,
) -> Iterator[tuple[str, str]]:
    """Show configured headers by name alone, wherever their values come from."""
    configured = frozenset(upstream.headers)
    fields = transformer.headers(call_headers(upstream, request.headers, forward))
    added = _credential_fields(upstream, operation, transformer.target, fields)
    overridden = {name for name, _ in added}
    for field in fields:
        name, value = (text.decode("latin-1") for text in field)
        if field[0] in overridden:
            continue
        if field not in configured:
            yield name, mask.value(name, value)
        else:
            yield name, value if name in _PLAIN_HEADERS else MASK
    for raw_name, raw_value in added:
        yield raw_name.decode(), f"Bearer {MASK}" if raw_value.startswith(b"Bearer ") else MASK


def _credential_fields(
    upstream: Upstream,
    operation: ServedOperation,
    target: str,
    fields: tuple[tuple[bytes, bytes], ...],
) -> list[tuple[bytes, bytes]]:
    """Return the fields that the credential adds; none if it needs to fetch a token."""
    credential = upstream.credentials.get(operation)
    endpoint = next(iter(upstream.endpoints.now()), None)
    if credential is None or endpoint is None:
        return []
    request = UpstreamRequest(endpoint, operation.method, target, fields, b"", 0.0)
    try:
        next(credential.apply(request, lambda: 0.0, Deadline(0.0, "request", 0.0, upstream.host)))
    except StopIteration as stop:
        with_key: UpstreamRequest = stop.value
        return [field for field in with_key.headers if field not in fields]
    return []


def _changes(requested: Fields, sent: Fields, mask: Mask) -> Iterator[BodyChange]:
    for name, value in sent.items():
        if name not in requested:
            yield BodyChange(name, "set", _display_member(name, bytes(value), mask))
        elif bytes(requested[name]) != bytes(value):
            yield BodyChange(name, "replaced", _display_member(name, bytes(value), mask))
    for name in requested:
        if name not in sent:
            yield BodyChange(name, "removed", None)


def _display_member(name: str, value: bytes, mask: Mask) -> str:
    is_number = value[:1] in b"-0123456789"
    if not (name in _PLAIN_MEMBERS or is_number or value in _SCALARS):
        return MASK
    text = mask.text(value.decode("utf-8", "replace"))
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _url(upstream: Upstream, target: str) -> str:
    """Return the URL by the provider's own name; a query may hold a key, so values are masked."""
    path, mark, query = target.partition("?")
    shown = [_display_pair(pair) for pair in query.split("&")] if mark else []
    scheme = next((endpoint.scheme for endpoint in upstream.endpoints.now()), "https")
    return f"{scheme}://{_bracketed(upstream.host)}{path}{mark}{'&'.join(shown)}"


def _display_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if not equals:
        return MASK
    return pair if name in _PLAIN_QUERY else f"{name}={MASK}"


def _connects_to(upstream: Upstream) -> str | None:
    """Name the endpoints, unless the only one is the provider itself."""
    endpoints = upstream.endpoints.now()
    if all((each.address, each.port) == (upstream.host, _PORTS[each.scheme]) for each in endpoints):
        return None
    return ", ".join(f"{one.scheme}://{_bracketed(one.address)}:{one.port}" for one in endpoints)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
