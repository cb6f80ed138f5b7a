"""One request for a token count, to a provider of another dialect than the client's."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ...._core.conversation.sides import CountingSide
from ...._core.conversation.writing import DialectOptions
from ...._core.dialect import (
    BodyRelay,
    ServedOperation,
    UpstreamOptions,
    WholeAnswer,
    called_model,
)
from ...._core.http.decoding import DECODABLE
from ...._core.values.messages import ClientRequest, ResponseHead
from ...._core.values.summary import SummaryDetail
from ....exceptions import UpstreamProtocolError
from ...objects import read_object
from ...same.decoding import decoded_body
from ...same.fields import JSON, RawFields, coding, with_length, with_type
from ...targets import fill
from ..headers import client_fields, provider_fields
from .estimate import estimate_tokens
from .sides import CountingProvider

__all__ = ["CountingTransformer"]

# The provider cannot count for this model, or has no such API.
_CANNOT = frozenset((400, 403, 404, 405, 501))


class CountingPair(Protocol):
    """The two dialects, and what a request to the provider is written with (`pair`)."""

    client: CountingSide
    provider: CountingProvider
    options: DialectOptions


class CountingTransformer:
    """Writes the request in the provider's form, and the reply in the client's.

    Raises:
        RequestError: The request cannot be translated.
    """

    added_usage = wants_stream = False
    dropped: tuple[str, ...] = ()

    def __init__(
        self,
        translation: CountingPair,
        request: ClientRequest,
        operation: ServedOperation,
        upstream: UpstreamOptions,
    ) -> None:
        self._client, self._provider = translation.client, translation.provider
        self._upstream = upstream
        self.dialect = self._provider.side.name
        self._conversation = conversation = self._client.read(request)
        self.model = called_model(upstream, conversation.model or request.model)
        self._written = self._provider.side.write_request(
            conversation, translation.options, model=self.model, streams=False
        )
        self.target = fill(upstream.targets[operation], self.model)

    def headers(self, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields without those of the client's vendor, and with those of the dialect."""
        return provider_fields(fields, self._upstream.headers, self._written.headers)

    def body(self) -> bytes:
        """Return the provider's request."""
        return msgspec.json.encode(self._provider.write(self._written.members, self.model))

    def drop_additions(self) -> None:
        """Do nothing: nothing is added here."""

    def rejects_additions(self, answer: WholeAnswer) -> bool:
        """Return False: nothing is added here."""
        return False

    def is_stream(self, head: ResponseHead, begin: bytes = b"") -> bool | None:
        """Return False: a count is one object."""
        return False

    def whole(
        self, head: ResponseHead, body: bytes, *, max_bytes: int, detail: SummaryDetail = "facts"
    ) -> WholeAnswer:
        """Return the count, an estimate of it, or the provider's error."""
        if (coded_as := coding(head.headers)) in DECODABLE:
            body = decoded_body(self._upstream.host, coded_as, body, max_bytes)
        headers = with_type(client_fields(head, b""), JSON)
        if head.status in _CANNOT:
            estimated = (b"x-llm-mesh-estimated", self._client.member.encode())
            headers.append(estimated)
            return self._whole_answer(headers, estimate_tokens(self._conversation))
        if head.status >= 400:
            return self._refusal(head, headers, body)
        tokens = read_object(body).get(self._provider.member)
        if not isinstance(tokens, int):
            raise UpstreamProtocolError(f"{self._upstream.host} answered without a count of tokens")
        return self._whole_answer(headers, tokens)

    def relay(self, head: ResponseHead) -> tuple[RawFields, BodyRelay]:
        """Refuse: there are no events.

        Raises:
            UpstreamProtocolError: always.
        """
        raise UpstreamProtocolError(f"{self._upstream.host} sent a stream that was not asked for")

    def _whole_answer(self, headers: RawFields, tokens: int) -> WholeAnswer:
        body = self._client.write(tokens)
        return WholeAnswer(200, with_length(headers, body), body)

    def _refusal(self, head: ResponseHead, headers: RawFields, body: bytes) -> WholeAnswer:
        fault = self._provider.side.read_fault(
            head.status, head.headers, self._upstream.redact(body)
        )
        error = self._client.write_fault(fault)
        return WholeAnswer(
            error.status,
            with_length(headers, error.body),
            error.body,
            reasons=fault.reasons,
            provider_status=fault.status,
        )
