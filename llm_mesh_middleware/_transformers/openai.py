"""OpenAI's dialect on both sides: the same bytes, but for what the configuration sets."""

from __future__ import annotations

from .._core.headers import Headers
from .._core.messages import ClientRequest, ResponseHead, error_object
from .._core.operations import Operation
from .._core.payload import encode_fields, is_json, is_object_with, raw
from .._core.transformer import BodyRelay
from .._core.upstream import Upstream
from ..exceptions import AnswerableError, UpstreamProtocolError

__all__ = ["OpenAITransformer"]


class OpenAITransformer:
    """Sets the configured members of a request; passes answers on, whole or as they arrive."""

    def __init__(self, request: ClientRequest, operation: Operation, upstream: Upstream) -> None:
        self._request = request
        self._operation = operation
        self._upstream = upstream
        self.model = self._model()

    def body(self) -> bytes:
        """The client's members, those that the configuration sets written anew."""
        if not self._operation.has_body:
            return b""
        fields = dict(self._request.fields)
        if self.model != self._request.model:
            fields["model"] = raw(self.model)
        if self._operation.is_generation:
            for name, value in self._upstream.defaults.items():
                fields.setdefault(name, value)
            fields.update(self._upstream.overrides)
        return encode_fields(fields)

    def is_stream(self, head: ResponseHead) -> bool:
        """Whether the provider sends events."""
        return head.status < 300 and _media_type(head.headers) == "text/event-stream"

    def whole(self, head: ResponseHead, body: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """A JSON answer as it is; a provider's error in the OpenAI shape, without our key in it."""
        headers = head.headers.downstream()
        if head.status >= 400:
            return self._error(head, headers, body)
        if head.headers.get("content-encoding") in (None, "identity") and not is_json(body):
            raise UpstreamProtocolError(
                f"{self._upstream.host} answered {head.status} without a whole JSON body"
            )
        return _with_length(headers, body), body

    def relay(self, head: ResponseHead) -> tuple[list[tuple[bytes, bytes]], BodyRelay]:
        """The bytes as they are."""
        headers = [field for field in head.headers.downstream() if field[0] != b"content-length"]
        return headers, _Passthrough()

    def _model(self) -> str | None:
        """The configured model, else the client's under the name that the provider has for it."""
        if self._operation.is_generation and self._upstream.model is not None:
            return self._upstream.model
        asked = self._request.model
        return None if asked is None else self._upstream.model_mapping.get(asked, asked)

    def _error(
        self, head: ResponseHead, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """A provider that repeats the key it was given must not show it to the client."""
        headers = [(name, self._redacted(value)) for name, value in headers]
        if head.headers.get("content-encoding") in (None, "identity"):
            if is_object_with(body, "error"):
                body = self._redacted(body)
            else:
                message = f"{self._upstream.host} answered {head.status} without an error object"
                body = error_object(message, type="upstream_error", code="upstream_error")
                headers = [field for field in headers if field[0] != b"content-type"]
                headers.append((b"content-type", b"application/json"))
        return _with_length(headers, body), body

    def _redacted(self, data: bytes) -> bytes:
        for secret in self._upstream.secrets:
            data = data.replace(secret, b"***")
        return data


class _Passthrough:
    """A stream whose bytes are not touched."""

    def feed(self, data: bytes, /) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def abort(self, error: Exception) -> bytes:
        """An event that tells: a client takes an end without one for success."""
        message = error.message if isinstance(error, AnswerableError) else "the stream broke off"
        event = error_object(message, type="upstream_error", code="stream_interrupted")
        return b"\n\ndata: " + event + b"\n\n"


def _media_type(headers: Headers) -> str:
    return (headers.get("content-type") or "").partition(";")[0].strip().lower()


def _with_length(headers: list[tuple[bytes, bytes]], body: bytes) -> list[tuple[bytes, bytes]]:
    kept = [field for field in headers if field[0] != b"content-length"]
    kept.append((b"content-length", b"%d" % len(body)))
    return kept
