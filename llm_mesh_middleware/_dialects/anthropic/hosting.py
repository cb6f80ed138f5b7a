"""The Messages API at its hosts: the same bodies, in different envelopes.

|           | model | version             | betas       | stream                             |
|-----------|-------|---------------------|-------------|------------------------------------|
| Anthropic | body  | header              | header      | body; server-sent events           |
| Vertex AI | path  | body                | header      | body and path; server-sent events  |
| Bedrock   | path  | body                | body        | path; frames of an AWS eventstream |
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..._core.dialect import ServedOperation, Transformer, UpstreamOptions, WholeAnswer
from ..._core.http.decoding import StreamDecoder
from ..._core.http.eventstream import MEDIA_TYPE as FRAMES
from ..._core.values.messages import ClientRequest, ResponseHead
from ..._core.values.payload import Fields, raw
from ..same import SameTransformer
from ..same.fields import RawFields, media_type
from ..targets import fill
from .errors import as_error_object
from .frames import FrameDecoder

__all__ = ["AnthropicTransformer", "Hosting"]

_VERSION, _BETA = b"anthropic-version", b"anthropic-beta"
_DEFAULT_VERSION = "2023-06-01"
_ANY = "*"

Headers = tuple[tuple[bytes, bytes], ...]


class Hosting(msgspec.Struct, frozen=True):
    """One host's envelope; it makes the conversions for its upstreams.

    Attributes:
        stream_target: the target for streams, if it differs.
        version: the configured version of the API; None forwards the client's.
        body_version: the version in the body instead of a header; the target then names the model.
        betas: names of betas that are forwarded; None for all.
        has_frames: streams are frames, and the body has no `stream`.
    """

    stream_target: str | None = None
    version: str | None = None
    body_version: str | None = None
    betas: frozenset[str] | None = None
    has_frames: bool = False

    def __call__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        return AnthropicTransformer(request, operation, upstream, self)

    def allowed(self, betas: Iterable[str]) -> list[str]:
        """Return the names that are forwarded."""
        if self.betas is None or _ANY in self.betas:
            return list(betas)
        return [name for name in betas if name in self.betas]


class AnthropicTransformer(SameTransformer):
    """Puts a request of the Messages API into the envelope of its host."""

    def __init__(
        self,
        request: ClientRequest,
        operation: ServedOperation,
        upstream: UpstreamOptions,
        hosting: Hosting,
    ) -> None:
        super().__init__(request, operation, upstream)
        self._hosting = hosting
        named = b",".join(request.headers.get_all(_BETA)).decode("latin-1").split(",")
        self._betas = hosting.allowed(name.strip() for name in named if name.strip())

    @property
    def target(self) -> str:
        """The target for a stream or for a whole response."""
        stream_target = self._hosting.stream_target
        if stream_target is None or not self.wants_stream:
            return super().target
        return fill(stream_target, self.model)

    def headers(self, fields: Headers) -> Headers:
        """Return the fields with version and betas, if the host takes these as fields."""
        hosting = self._hosting
        kept = [field for field in fields if field[0] not in (_VERSION, _BETA)]
        if self._betas and not hosting.has_frames:
            kept.append((_BETA, ",".join(self._betas).encode("latin-1")))
        if hosting.body_version is None:
            client_version = next((value for name, value in fields if name == _VERSION), None)
            version = hosting.version.encode() if hosting.version else client_version
            kept.append((_VERSION, version or _DEFAULT_VERSION.encode()))
        return tuple(kept)

    def is_stream(self, head: ResponseHead, begin: bytes = b"") -> bool | None:
        """Return whether the host sends a stream; frames are recognised by their media type."""
        if not self._hosting.has_frames:
            return super().is_stream(head, begin)
        return self.wants_stream and head.status < 300 and media_type(head.headers) == FRAMES

    def _set_members(self, fields: Fields) -> None:
        hosting = self._hosting
        if hosting.body_version is None:
            return
        fields.pop("model", None)
        fields.setdefault("anthropic_version", raw(hosting.body_version))
        if hosting.has_frames:
            fields.pop("stream", None)
            if self._betas:
                fields["anthropic_beta"] = raw(self._betas)

    def decoder(self, head: ResponseHead) -> StreamDecoder | None:
        """Return a decoder of frames, or of compressed events."""
        return FrameDecoder() if self._hosting.has_frames else super().decoder(head)

    def _error(
        self, status: int, headers: RawFields, body: bytes, *, is_readable: bool
    ) -> WholeAnswer:
        if is_readable:
            body = as_error_object(status, body)
        return super()._error(status, headers, body, is_readable=is_readable)
