"""A service mesh for LLM traffic inside a Python application.

Exceptions are imported with the package, every other name when it is first asked for: a Flask
application does not import the ASGI adapter, and `llm-mesh --help` no adapter at all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from ._telemetry.setup import setup_telemetry
    from .asgi import LLMMeshMiddleware
    from .config import LLMPolicy, LLMProvider, LLMRoute
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

# The modules of the names that are not imported yet.
_MODULES = {
    "Explanation": ".explain",
    "LLMMeshMiddleware": ".asgi",
    "LLMMeshWSGIMiddleware": ".wsgi",
    "LLMPolicy": ".config",
    "LLMProvider": ".config",
    "LLMRoute": ".config",
    "Mesh": ".mesh",
    "MeshSettings": ".settings",
    "MeshStatus": ".mesh",
    "setup_telemetry": "._telemetry.setup",
}


def _named(value: Any) -> Any:
    """Have tracebacks and documentation show a class by the name that users import."""
    if isinstance(value, type):
        value.__module__ = __name__
    return value


if not TYPE_CHECKING:  # type checkers know the names from above, and would believe in any other

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = _named(getattr(import_module(_MODULES[name], __name__), name))
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


for _name in set(__all__) - set(_MODULES):
    _named(globals()[_name])
del _name
