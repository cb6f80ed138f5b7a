"""Passes generated content on; the path names model and form, not the body."""

from __future__ import annotations

from ..._core.dialect import ServedOperation, UpstreamOptions, called_model
from ..._core.values.messages import ClientRequest
from ..._core.values.payload import encode_fields
from ..same import SameTransformer
from ..targets import fill
from . import EVENTS

__all__ = ["GeminiTransformer"]


class GeminiTransformer(SameTransformer):
    """Sets the model in the path; the body is the client's."""

    def __init__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> None:
        super().__init__(request, operation, upstream)
        self.model = called_model(upstream, request.model)
        self.wants_stream = operation.wants_stream(request)

    @property
    def target(self) -> str:
        """The operation's target for the model, in the form that the client requested."""
        target = fill(self._upstream.targets[self._operation], self.model)
        return f"{target}?{EVENTS}" if self.wants_stream else target

    def body(self) -> bytes:
        """Return the client's members, and the defaults for those that are missing."""
        return encode_fields(self._fields)
