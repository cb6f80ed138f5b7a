"""The header fields of a provider's response that the client gets.

An allow-list. To the client the response comes from the mesh's host, so a provider's field about
its origin or connection (`set-cookie`, `strict-transport-security`, `access-control-*`, `location`,
`x-accel-redirect`, ...) would take effect on a host that the provider does not own. Allowed fields
describe the response itself: type, remaining limits, when to retry, request id, duration.
"""

from __future__ import annotations

from functools import lru_cache

from ..values.headers import Headers
from .known_names import KnownNames

__all__ = [
    "MAX_FIELD_TEXT",
    "NOSNIFF",
    "client_headers",
    "field_value",
    "instead_of_quota",
    "safe_media_type",
    "tells_quota",
]

_NOTHING: frozenset[bytes] = frozenset()
# A browser must not sniff the body for anything that it could run.
NOSNIFF = (b"x-content-type-options", b"nosniff")

MAX_FIELD_TEXT = 256
_OCTETS = b"application/octet-stream"
_MEDIA_TYPES = frozenset(
    (
        b"application/json",
        b"application/jsonl",
        b"application/vnd.amazon.eventstream",
        b"application/x-ndjson",
        b"text/event-stream",
        _OCTETS,
    )
)

_NAMES = frozenset(
    (
        b"content-encoding",
        # when to retry
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        # ids of the request
        b"apim-request-id",
        b"cf-ray",
        b"mistral-correlation-id",
        b"msh-request-id",
        b"request-id",
        b"x-acs-request-id",
        b"x-amzn-requestid",
        b"x-client-request-id",
        b"x-correlation-id",
        b"x-generation-id",
        b"x-ms-client-request-id",
        b"x-ms-request-id",
        b"x-request-id",
        b"x-siliconcloud-trace-id",
        b"x-trace-id",
        b"x-tt-logid",
        # durations
        b"req-arrive-time",
        b"req-cost-time",
        b"resp-start-time",
        b"server-timing",
        b"x-envoy-upstream-service-time",
        b"x-kong-proxy-latency",
        b"x-kong-upstream-latency",
        b"x-process-time",
        b"x-response-time",
        # facts about the model or the API
        b"deprecation",
        b"sunset",
        b"x-model-id",
        b"x-ms-region",
    )
)
_FAMILIES = (
    b"anthropic-",
    b"azureml-",
    b"fireworks-",
    b"openai-",
    b"ratelimit",
    b"x-amzn-bedrock-",
    b"x-dashscope-",
    b"x-ds-",
    b"x-gemini-",
    b"x-groq-",
    b"x-inference-",
    b"x-openrouter-",
    b"x-rate-limit-",
    b"x-ratelimit-",
    b"x-together-",
)
# By which providers tell what is left: OpenAI and most others, Anthropic, an IETF draft.
_QUOTA = (b"x-ratelimit-", b"x-rate-limit-", b"anthropic-ratelimit-", b"ratelimit")
# Only directives that forbid caching pass; a provider must not enable caching.
_UNCACHED = frozenset(
    (b"max-age=0", b"must-revalidate", b"no-cache", b"no-store", b"no-transform", b"private")
)


def _passes(name: bytes) -> bool:
    return name in _NAMES or name.startswith(_FAMILIES)


_is_allowed = KnownNames(_passes).__getitem__
_tells_quota = KnownNames[bytes](lambda name: name.startswith(_QUOTA))
tells_quota = _tells_quota.__getitem__


def client_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the fields that the client gets, with `nosniff` appended."""
    names = headers.by_name
    named = headers.connection_options() if b"connection" in names else _NOTHING
    found = headers.named(_is_allowed)
    if named:
        found = [field for field in found if field[0] not in named]
    for name in _BY_VALUE:
        if name in names and name not in named:
            passes = _BY_VALUE[name]
            found += [(name, value) for value in headers.get_all(name) if passes(value)]
    media_type = names.get(b"content-type")
    if media_type is not None and b"content-type" not in named:
        is_known = media_type in _MEDIA_TYPES
        found.append((b"content-type", media_type if is_known else safe_media_type(media_type)))
    found.append(NOSNIFF)
    return found


def instead_of_quota(
    headers: list[tuple[bytes, bytes]], fields: tuple[tuple[bytes, bytes], ...]
) -> list[tuple[bytes, bytes]]:
    """Return a reply's fields with `fields` instead of those that tell of the provider's quota."""
    for field in headers:
        if field is NOSNIFF:  # what follows is the mesh's
            headers += fields
            return headers
        if _tells_quota[field[0]]:
            break
    return [*(field for field in headers if not _tells_quota[field[0]]), *fields]


def _forbids_caching(value: bytes) -> bool:
    return all(word.strip().lower() in _UNCACHED for word in value.split(b","))


def _forbids_buffering(value: bytes) -> bool:
    return value.strip().lower() == b"no"


_BY_VALUE = {b"cache-control": _forbids_caching, b"x-accel-buffering": _forbids_buffering}


def safe_media_type(value: bytes) -> bytes:
    """Return `value` if it is JSON, events, audio or octets, else `application/octet-stream`."""
    if value in _MEDIA_TYPES:
        return value
    bare = value.partition(b";")[0].strip().lower()
    is_safe = (
        bare in _MEDIA_TYPES
        or bare.startswith(b"audio/")
        or (bare.startswith(b"application/") and bare.endswith(b"+json"))
    )
    return value if is_safe else _OCTETS


def field_value(text: str) -> bytes:
    """Return `text` as a field value: a model name may come from a client and hold anything."""
    return _as_field(text[:MAX_FIELD_TEXT])


# At most 1,024 texts of 256 characters: a client may choose them.
@lru_cache(maxsize=1024)
def _as_field(text: str) -> bytes:
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    cleaned = "".join(char if char.isprintable() else "?" for char in text)
    return cleaned.encode("ascii", "replace")
