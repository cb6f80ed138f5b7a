"""The proxy of the environment, and the requests that only a proxy gets; sans-IO.

endpoint   the proxy gets                           the provider gets
http       the whole request, with an absolute      what the proxy forwards
           target and the proxy's credentials
https      CONNECT with the proxy's credentials     TLS with its own name, then the request
"""

from __future__ import annotations

import base64
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ...exceptions import UpstreamConnectError
from .protocols import connect_failure, request_head

__all__ = ["UNKNOWN_NAME", "UNREACHABLE", "Proxy", "env_proxy", "refusal"]

UNKNOWN_NAME = "the proxy's name cannot be resolved"
UNREACHABLE = "the proxy refused the connection"

_DEFAULT_PORTS = {"http": 80, "https": 443}


def env_proxy(endpoint: Endpoint) -> str | None:
    """Return the URL of the proxy that the environment names for calls to `endpoint`.

    Raises:
        UpstreamConnectError: it is not an HTTP proxy.
    """
    # It brings http.client along, which only those need who trust the environment.
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(f"{endpoint.address}:{endpoint.port}"):
        return None
    proxies = getproxies()
    proxy = proxies.get(endpoint.scheme) or proxies.get("all")
    if proxy is None or proxy.startswith(("http://", "https://")):
        return proxy
    if "://" in proxy:
        raise connect_failure(endpoint.provider_host, "the proxy is not an HTTP proxy")
    return f"http://{proxy}"


def refusal(status: int) -> str:
    """Return the reason why a proxy responded to CONNECT with `status`."""
    if status == 407:
        return "the proxy requires credentials; set valid ones in the proxy's URL"
    return f"the proxy refused the connection with status {status}"


class Proxy(msgspec.Struct, frozen=True):
    """A proxy; `authorization` is the value of its Proxy-Authorization field."""

    host: str
    port: int
    is_tls: bool
    authorization: bytes | None

    @classmethod
    def parse(cls, url: str, endpoint: Endpoint) -> Proxy:
        """Read the URL of the proxy for `endpoint`.

        Raises:
            UpstreamConnectError: it has no host, or an invalid port.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
        except ValueError:
            host, port = None, 0
        if host is None:
            raise _unreadable(endpoint)
        return cls(host, port, parts.scheme == "https", _authorization(parts))

    def forwarded_head(self, request: UpstreamRequest) -> bytes:
        """Return the head of a plain `request` for the proxy to forward.

        Raises:
            RequestNotSent: a field cannot be sent as it is.
        """
        target = f"http://{_authority(request.endpoint)}{request.target}"
        return request_head(request, target=target, fields=(*request.headers, *self._fields()))

    def tunnel_head(self, endpoint: Endpoint) -> bytes:
        """Return the CONNECT request for a tunnel to `endpoint`."""
        authority = _authority(endpoint).encode("ascii")
        fields = [(b"host", authority), *self._fields()]
        lines = [b"CONNECT %b HTTP/1.1" % authority, *map(b": ".join, fields)]
        return b"\r\n".join((*lines, b"\r\n"))

    def _fields(self) -> list[tuple[bytes, bytes]]:
        credentials = self.authorization
        return [] if credentials is None else [(b"proxy-authorization", credentials)]


def _authority(endpoint: Endpoint) -> str:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{host}:{endpoint.port}"


def _authorization(parts: SplitResult) -> bytes | None:
    if parts.username is None:
        return None
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return b"Basic " + base64.b64encode(credentials.encode())


def _unreadable(endpoint: Endpoint) -> UpstreamConnectError:
    return connect_failure(endpoint.provider_host, "the proxy's URL cannot be read")
