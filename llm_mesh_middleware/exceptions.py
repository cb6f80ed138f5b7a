"""Every exception of the mesh, in one tree.

    MeshError
    ├── ConfigError                 manifests or settings cannot be used; lists every problem
    ├── RequestError                the client's request is at fault; 4xx, the text is safe to show
    │   ├── MalformedRequest        400  invalid_request
    │   │   └── InvalidJSON         400  invalid_json
    │   ├── UnsupportedField        400  unsupported_field
    │   ├── InvalidClientKey        401  invalid_client_key
    │   ├── AccessDenied            403  access_denied
    │   ├── CacheMiss               504  cache_miss
    │   ├── ContentBlocked          403  content_blocked
    │   ├── NoRouteMatched          404  route_not_found
    │   ├── ModelNotFound           404  model_not_found
    │   ├── UnsupportedOperation    404  unsupported_operation
    │   ├── MethodNotAllowed        405  method_not_allowed
    │   ├── RequestTimeout          408  request_timeout
    │   ├── RequestTooLarge         413  request_too_large
    │   ├── UnsupportedEncoding     415  unsupported_content_encoding
    │   └── RateLimitExceeded       429  rate_limit_exceeded
    │       └── InsufficientQuota   429  insufficient_quota
    ├── UpstreamError               the provider is at fault; 5xx, generic text
    │   ├── UpstreamConnectError    502  upstream_connect_error
    │   ├── CredentialUnavailable   502  upstream_credential_error
    │   ├── UpstreamProtocolError   502  upstream_protocol_error
    │   │   ├── RequestNotSent      502  upstream_protocol_error
    │   │   └── ResponseTooLarge    502  upstream_protocol_error
    │   ├── StreamInterrupted       502  stream_interrupted
    │   ├── NoBackendAvailable      503  no_healthy_upstream
    │   ├── UpstreamTimeout         504  upstream_timeout
    │   └── LoopDetected            508  loop_detected
    ├── PolicyUnavailable           503  policy_unavailable; the store of limits cannot be reached
    ├── ServerShutdown              503  server_shutdown; the process ends before the response
    └── ClientDisconnected          the client went away; there is no reply

`status`, `type` and `code` appear in the client's error object; each class has its own, so that
adapters need not choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

__all__ = [
    "AccessDenied",
    "AnswerableError",
    "CacheMiss",
    "ClientDisconnected",
    "ConfigError",
    "ContentBlocked",
    "CredentialUnavailable",
    "InsufficientQuota",
    "InvalidClientKey",
    "InvalidJSON",
    "LoopDetected",
    "MalformedRequest",
    "MeshError",
    "MethodNotAllowed",
    "ModelNotFound",
    "NoBackendAvailable",
    "NoRouteMatched",
    "PolicyUnavailable",
    "Problem",
    "RateLimitExceeded",
    "RequestError",
    "RequestNotSent",
    "RequestTimeout",
    "RequestTooLarge",
    "ResponseTooLarge",
    "ServerShutdown",
    "StreamInterrupted",
    "UnsupportedEncoding",
    "UnsupportedField",
    "UnsupportedOperation",
    "UpstreamConnectError",
    "UpstreamError",
    "UpstreamProtocolError",
    "UpstreamTimeout",
]

# Where the documents are; pages of the reference lie below it.
DOCUMENTS = "https://llm-mesh.dev/"


class MeshError(Exception):
    """Base of all exceptions of the mesh."""


class Problem(msgspec.Struct, frozen=True):
    """One problem of the configuration, and its place.

    `line` and `column` count from 1; 0 means that the place is not in a file. `field` is the path
    of the field (`spec.rules[0].backendRefs`). `message` never holds a secret. Only problems of
    severity `error` make a configuration unusable.
    """

    source: str
    line: int
    column: int
    field: str
    message: str
    severity: Literal["error", "warning"] = "error"

    @property
    def place(self) -> str:
        """The place as `file:line:column`, which editors can follow."""
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def text(self) -> str:
        """The field and the message."""
        return f"{self.field}: {self.message}" if self.field else self.message

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class ConfigError(MeshError):
    """Manifests or settings cannot be used; `problems` has all problems at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AnswerableError(MeshError):
    """An error with an HTTP reply: the base of `RequestError` and `UpstreamError`."""

    status = 500
    type = "server_error"
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message
        self.param = param
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(message)

    @property
    def help_url(self) -> str:
        """Address of the page that says what to do about errors of this code."""
        return f"{DOCUMENTS}reference/errors/{self.code}/"


class RequestError(AnswerableError):
    """The client's request cannot be served as it is; the message is for the client."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class MalformedRequest(RequestError):
    """The request is ambiguous or invalid HTTP: two Hosts, two lengths, contradictory hosts."""


class InvalidJSON(MalformedRequest):
    """The body is not one JSON object in UTF-8."""

    code = "invalid_json"


class UnsupportedField(RequestError):
    """The chosen provider's dialect cannot say what a field asks for; `param` names the field."""

    code = "unsupported_field"


class InvalidClientKey(RequestError):
    """The client key is required and missing, or unknown."""

    status = 401
    type = "authentication_error"
    code = "invalid_client_key"


class AccessDenied(RequestError):
    """The peer may not use the mesh (see `LLM_MESH_ACCESS`)."""

    status = 403
    type = "permission_error"
    code = "access_denied"


class CacheMiss(RequestError):
    """The client wants a cached response only (`Cache-Control: only-if-cached`)."""

    status = 504
    code = "cache_miss"


class ContentBlocked(RequestError):
    """A guard denies what the request or its response says; the text never repeats it."""

    status = 403
    code = "content_blocked"

    def __init__(self, message: str, *, status: int = 403, guard: str = "") -> None:
        self.status = status
        headers = {"x-llm-mesh-guards": f"denied {guard}"} if guard else None
        super().__init__(message, headers=headers)


class NoRouteMatched(RequestError):
    """No rule of the virtual host's route matches the request."""

    status = 404
    code = "route_not_found"


class ModelNotFound(RequestError):
    """The client asked for a model that no rule of the virtual host knows."""

    status = 404
    code = "model_not_found"


class UnsupportedOperation(RequestError):
    """The path is unknown to the mesh, or the selected provider cannot serve it."""

    status = 404
    code = "unsupported_operation"


class MethodNotAllowed(RequestError):
    """The operation is not served under this method; `allow` lists those that are."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, headers={"allow": allow})


class RequestTimeout(RequestError):
    """The client did not send its body in time."""

    status = 408
    code = "request_timeout"


class RequestTooLarge(RequestError):
    """The body is longer than `LLM_MESH_MAX_REQUEST_BYTES`."""

    status = 413
    code = "request_too_large"


class UnsupportedEncoding(RequestError):
    """The body has a `Content-Encoding`; the mesh only reads plain JSON."""

    status = 415
    code = "unsupported_content_encoding"


class RateLimitExceeded(RequestError):
    """A limit of the mesh is used up; the fields say how long to wait."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class InsufficientQuota(RateLimitExceeded):
    """A budget is used up; waiting a little is of no use."""

    type = "insufficient_quota"
    code = "insufficient_quota"


class UpstreamError(AnswerableError):
    """The provider failed; the text names the provider host, not the address behind it."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"


class UpstreamConnectError(UpstreamError):
    """No connection: refused, reset, name not found, TLS not trusted, closed before a response.

    `has_connected`: it was established, and lost before the response.
    """

    code = "upstream_connect_error"

    def __init__(self, message: str, *, has_connected: bool = False) -> None:
        self.has_connected = has_connected
        super().__init__(message)


class CredentialUnavailable(UpstreamError):
    """The credential for a provider cannot be had: its source is away, or refuses."""

    code = "upstream_credential_error"


class UpstreamProtocolError(UpstreamError):
    """The response cannot be passed on: broken framing, half a body, a redirect."""

    code = "upstream_protocol_error"


class RequestNotSent(UpstreamProtocolError):
    """A header field of the request cannot be sent; the provider was not called."""


class ResponseTooLarge(UpstreamProtocolError):
    """The response is longer than `LLM_MESH_MAX_RESPONSE_BYTES`; there is no fallback."""


class StreamInterrupted(UpstreamError):
    """A stream that has begun cannot be completed; its last event reports that."""

    code = "stream_interrupted"


class NoBackendAvailable(UpstreamError):
    """Every backend that could serve the request is ejected or busy."""

    status = 503
    code = "no_healthy_upstream"


class LoopDetected(UpstreamError):
    """The call has come back: the endpoint of a provider leads to the mesh."""

    status = 508
    code = "loop_detected"


class UpstreamTimeout(UpstreamError):
    """A phase took too long; `phase` is one of connect, first_byte, idle, request."""

    status = 504
    code = "upstream_timeout"

    def __init__(self, message: str, *, phase: str) -> None:
        self.phase = phase
        super().__init__(message)


class PolicyUnavailable(AnswerableError):
    """A policy cannot decide, and its configuration says that nothing passes without it."""

    status = 503
    code = "policy_unavailable"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"retry-after": "1"})


class ServerShutdown(AnswerableError):
    """The process is shutting down, and its grace period for open replies is over."""

    status = 503
    code = "server_shutdown"

    def __init__(self) -> None:
        headers = {"connection": "close", "retry-after": "1"}  # another instance may serve at once
        super().__init__("the server is shutting down", headers=headers)


class ClientDisconnected(MeshError):
    """The client has disconnected: neither the provider nor the request is at fault."""
