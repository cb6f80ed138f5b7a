"""A service mesh for LLM traffic inside a Python application."""

from __future__ import annotations

from ._telemetry.setup import setup_telemetry
from .asgi import LLMMeshMiddleware
from .config import LLMPolicy, LLMProvider, LLMRoute
from .exceptions import (
    AccessDenied,
    AnswerableError,
    CacheMiss,
    ClientDisconnected,
    ConfigError,
    ContentBlocked,
    CredentialUnavailable,
    InsufficientQuota,
    InvalidClientKey,
    InvalidJSON,
    LoopDetected,
    MalformedRequest,
    MeshError,
    MethodNotAllowed,
    ModelNotFound,
    NoBackendAvailable,
    NoRouteMatched,
    PolicyUnavailable,
    Problem,
    RateLimitExceeded,
    RequestError,
    RequestNotSent,
    RequestTimeout,
    RequestTooLarge,
    ResponseTooLarge,
    ServerShutdown,
    StreamInterrupted,
    UnsupportedEncoding,
    UnsupportedField,
    UnsupportedOperation,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from .explain import Explanation
from .mesh import Mesh, MeshStatus
from .settings import MeshSettings
from .wsgi import LLMMeshWSGIMiddleware

__all__ = [
    "AccessDenied",
    "AnswerableError",
    "CacheMiss",
    "ClientDisconnected",
    "ConfigError",
    "ContentBlocked",
    "CredentialUnavailable",
    "Explanation",
    "InsufficientQuota",
    "InvalidClientKey",
    "InvalidJSON",
    "LLMMeshMiddleware",
    "LLMMeshWSGIMiddleware",
    "LLMPolicy",
    "LLMProvider",
    "LLMRoute",
    "LoopDetected",
    "MalformedRequest",
    "Mesh",
    "MeshError",
    "MeshSettings",
    "MeshStatus",
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
    "__version__",
    "setup_telemetry",
]

__version__ = "0.1.0"

for _name in __all__:  # tracebacks and documentation show the names that users import
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
