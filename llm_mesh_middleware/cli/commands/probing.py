"""The stages of a real connection to one provider, each with a message for each way to fail.

    dns -> tcp -> tls -> key -> model

Nothing is billed: the key is tested by a request for the list of models. A stage that fails ends
the probe, because the later ones would fail for the same reason.
"""

from __future__ import annotations

import difflib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import msgspec

from ..._core.provider.upstream import Upstream
from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import Deadline, UpstreamRequest
from ..._dialects.model_lists import MODELS
from ..._engine.tls import TLSContexts

__all__ = ["Finding", "Probe", "error_text"]

_MAX_BODY = 4 * 2**20
_MAX_TEXT = 200


class Finding(msgspec.Struct, frozen=True):
    """The result of one stage; `state` is ok, failed, warning or skipped."""

    stage: str
    state: str
    text: str
    milliseconds: int | None = None


class StageError(Exception):
    """A stage failed, or could not be tried; `state` is that of its finding."""

    def __init__(self, text: str, state: str = "failed") -> None:
        self.text = text
        self.state = state
        super().__init__(text)


class Probe:
    """One connection to an endpoint of a provider, made stage by stage."""

    def __init__(
        self, upstream: Upstream, endpoint: Endpoint, contexts: TLSContexts, *, timeout_s: float
    ) -> None:
        """Prepare a probe; nothing is connected yet.

        Args:
            upstream: the provider as one rule uses it.
            endpoint: one of its endpoints.
            contexts: the TLS contexts of the mesh.
            timeout_s: the longest time for a connection, and for a response, in seconds.
        """
        self._upstream = upstream
        self._endpoint = endpoint
        self._contexts = contexts
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._models: list[str] = []

    def run(self) -> Iterator[Finding]:
        """Yield the finding of each stage, until one fails or cannot be tried."""
        stages: dict[str, Callable[[], str]] = {
            "dns": self._resolve,
            "tcp": self._connect,
            "tls": self._secure,
            "key": self._ask_for_models,
            "model": self._look_up_model,
        }
        try:
            for name, stage in stages.items():
                begin = time.monotonic()
                try:
                    text, state = stage(), "ok"
                except StageError as exc:
                    text, state = exc.text, exc.state
                except TimeoutError:
                    text, state = f"no answer within {self._timeout_s:g} s", "failed"
                yield Finding(name, state, text, round((time.monotonic() - begin) * 1000))
                if state == "failed" or (name == "key" and state != "ok"):
                    return
        finally:
            if self._socket is not None:
                self._socket.close()

    def _resolve(self) -> str:
        address = self._endpoint.address
        try:
            found = socket.getaddrinfo(address, self._endpoint.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
            raise StageError(
                f"{address} has no address ({reason}); check spec.host, or this machine's DNS"
            ) from None
        return ", ".join(sorted({str(each[4][0]) for each in found}))

    def _connect(self) -> str:
        address, port = self._endpoint.address, self._endpoint.port
        try:
            self._socket = socket.create_connection((address, port), self._timeout_s)
        except TimeoutError:
            raise StageError(
                f"{address}:{port} did not answer within {self._timeout_s:g} s; a firewall may"
                " drop the connection, or a proxy may be needed (LLM_MESH_TRUST_ENV=true)"
            ) from None
        except OSError as exc:
            raise StageError(f"{address}:{port}: {exc.strerror or exc}") from None
        return f"port {port}"

    def _secure(self) -> str:
        if self._endpoint.scheme != "https":
            raise StageError("the endpoint is plain HTTP", "skipped")
        assert self._socket is not None  # noqa: S101 - made by the stage before
        name = self._endpoint.server_name
        try:
            context = self._contexts.get(self._endpoint.tls)
            secured = context.wrap_socket(self._socket, server_hostname=name)
        except ssl.SSLCertVerificationError as exc:
            raise StageError(
                f"the certificate for {name} is not trusted: {exc.verify_message}; a company's"
                " own authority goes into LLM_MESH_CA_FILE or spec.tls.caFile"
            ) from None
        except TimeoutError:
            raise
        except ssl.SSLError as exc:
            raise StageError(f"the TLS handshake failed: {exc.reason or exc}") from None
        except OSError as exc:
            raise StageError(f"the connection was lost: {exc.strerror or exc}") from None
        self._socket = secured
        return f"{secured.version()}, certificate for {name}"

    def _ask_for_models(self) -> str:
        request = self._models_request()
        status, body = self._exchange(request)
        body = self._upstream.redact(body)
        if status in (401, 403):
            raise StageError(f"the provider refuses the key: {error_text(status, body)}")
        if status >= 500:
            raise StageError(f"the provider fails: {error_text(status, body)}")
        if status != 200:
            raise StageError(
                f"not tried: the provider lists no models ({status}); use --send", "skipped"
            )
        self._models = _names(body)
        if MODELS not in self._upstream.credentials:
            raise StageError("none is configured, and none is needed to list models", "skipped")
        return "accepted"

    def _models_request(self) -> UpstreamRequest:
        target = self._upstream.targets.get(MODELS)
        if target is None:
            raise StageError(
                "not tried: the path of a list of models is unknown; use --send", "skipped"
            )
        request = UpstreamRequest(
            self._endpoint, "GET", target, self._upstream.headers, b"", self._timeout_s
        )
        credential = self._upstream.credentials.get(MODELS)
        if credential is None:
            return request
        deadline = Deadline(
            time.monotonic() + self._timeout_s, "request", self._timeout_s, self._upstream.host
        )
        flow = credential.apply(request, time.time, deadline)
        try:
            next(flow)
        except StopIteration as done:
            finished: UpstreamRequest = done.value
            return finished
        flow.close()
        raise StageError("not tried: a token must be fetched first; use --send", "skipped")

    def _exchange(self, request: UpstreamRequest) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._endpoint.address, timeout=self._timeout_s)
        connection.sock = self._socket
        try:
            connection.putrequest("GET", request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                connection.putheader(name, value)
            connection.putheader("connection", "close")
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.read(_MAX_BODY)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as exc:
            raise StageError(f"no HTTP response: {type(exc).__name__}") from None

    def _look_up_model(self) -> str:
        model = self._upstream.model
        if model is None:
            raise StageError("none is configured; clients choose", "skipped")
        if model in self._models:
            return model
        if not self._models:
            raise StageError(f"{model}: the provider lists no models; use --send", "skipped")
        near = difflib.get_close_matches(model, self._models, n=3)
        advice = f"; did you mean {', '.join(near)}?" if near else ""
        raise StageError(f"{model} is not among the provider's models{advice}", "warning")


def error_text(status: int, body: bytes) -> str:
    """Return a provider's error in one line: its status and its message."""
    try:
        error = json.loads(body)["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")
    printable = "".join(char if char.isprintable() else " " for char in str(message))
    words = " ".join(printable.split())[:_MAX_TEXT]
    return f"{status} {words}" if words else str(status)


def _names(body: bytes) -> list[str]:
    """Return the names in a list of models, or none if the body is not such a list."""
    try:
        entries = json.loads(body)["data"]
        return [entry["id"] for entry in entries if isinstance(entry["id"], str)]
    except (ValueError, KeyError, TypeError):
        return []
