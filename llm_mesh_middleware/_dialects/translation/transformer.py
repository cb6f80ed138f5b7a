"""Converts one attempt at a provider whose dialect is not the client's.

    client's request ─► Conversation ─► provider's request, in the envelope of its own dialect
    client's reply   ◄─ Answer       ◄─ provider's response, as JSON
    client's events  ◄─ deltas       ◄─ provider's events (`relay`)
    client's error   ◄─ fault        ◄─ provider's error, redacted

The two forms of an answer, JSON and events, are converted if necessary: the provider may stream
although the client did not request a stream, and the reverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from ..._core.conversation.answer import Answer, Failed
from ..._core.conversation.fault import ProviderFault
from ..._core.conversation.parts import Image, Text
from ..._core.conversation.sides import ClientSide, ProviderSide
from ..._core.conversation.writing import DialectOptions, Stamp
from ..._core.dialect import (
    BodyRelay,
    ServedOperation,
    Transformer,
    UpstreamOptions,
    WholeAnswer,
    called_model,
)
from ..._core.http.decoding import DECODABLE, StreamDecoder
from ..._core.http.eventstream import MEDIA_TYPE as FRAMES
from ..._core.values.headers import Headers
from ..._core.values.messages import ClientRequest, ResponseHead
from ..._core.values.payload import Fields, encode_fields, raw
from ..._core.values.summary import AnswerSummary, SummaryDetail
from ...exceptions import UnsupportedField, UpstreamProtocolError
from ..same import SameTransformer
from ..same.decoding import decoded_body, stream_decoder
from ..same.fields import (
    EVENTS,
    JSON,
    LINES,
    RawFields,
    coding,
    is_events,
    media_type,
    with_length,
    with_type,
)
from .headers import client_fields, provider_fields
from .proofs import ProofMemory, RememberingReader
from .relay import LOST_CITATIONS, LOST_IMAGE, REASONS, TranslatingRelay
from .whole import Accumulator, deltas_of

__all__ = ["TranslatingTransformer"]

_STREAMS = frozenset((EVENTS, FRAMES, LINES))
_MAX_HEADER = 1024

_NONE = Headers(())


class Pair(Protocol):
    """The two dialects, and what a request to the provider is written with (`pair`)."""

    client: ClientSide
    provider: ProviderSide
    operation: ServedOperation
    options: DialectOptions
    envelope: Callable[[ClientRequest, ServedOperation, UpstreamOptions], Transformer] | None
    memory: ProofMemory | None


class TranslatingTransformer:
    """Writes the request in the provider's dialect, and the reply in the client's.

    Raises:
        RequestError: The request cannot be translated.
    """

    def __init__(
        self,
        translation: Pair,
        request: ClientRequest,
        operation: ServedOperation,
        upstream: UpstreamOptions,
    ) -> None:
        self._client, self._provider = translation.client, translation.provider
        self.dialect = self._provider.name
        self._upstream = upstream
        self._keeps_content = request.keeps_content
        conversation = self._client.read_request(request)
        has_memory = conversation.tools and self._client.forgets_proofs
        self._memory = translation.memory if has_memory else None
        self._consumer = request.attributes.get("consumer", "")
        if self._memory is not None:
            turns = self._memory.restore(self._consumer, conversation.turns)
            conversation = replace(conversation, turns=turns)
        self._conversation = conversation
        self.wants_stream = conversation.stream
        streams = self.wants_stream if upstream.stream is None else upstream.stream
        if conversation.n is not None and conversation.n > 1:
            streams = self._stream_of_choices()
        self.model = called_model(upstream, conversation.model)
        named = self.model if translation.envelope is None else conversation.model
        written = self._provider.write_request(
            conversation, translation.options, model=named, streams=streams
        )
        self._headers = written.headers
        self.dropped = written.dropped
        passed = translation.options.pass_fields & request.fields.keys()
        self._members: Fields = {name: request.fields[name] for name in sorted(passed)}
        self._members |= {name: raw(value) for name, value in written.members.items()}
        self._inner: Transformer | None = None
        if translation.envelope is not None:
            self._inner = translation.envelope(
                replace(
                    request, operation=translation.operation, fields=self._members, headers=_NONE
                ),
                translation.operation,
                upstream,
            )
            self.model = self._inner.model
        else:
            self._members = {**upstream.defaults, **self._members}
        created, token = request.mark
        self._stamp = Stamp(created, token, self.model or "", self._upstream.host)
        self._target = self._provider.target(
            upstream.targets[operation], translation.operation, self.model, streams=streams
        )

    @property
    def target(self) -> str:
        """The provider's request target."""
        return self._target if self._inner is None else self._inner.target

    @property
    def added_usage(self) -> bool:
        """Whether the body requests usage that the client did not request."""
        return self._inner is not None and self._inner.added_usage

    def headers(self, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields without those of the client's vendor, with those of the dialect."""
        fields = provider_fields(fields, self._upstream.headers, self._headers)
        # A host may have a field of the dialect in the body.
        return fields if self._inner is None else self._inner.headers(fields)

    def body(self) -> bytes:
        """Return the provider's request."""
        return encode_fields(self._members) if self._inner is None else self._inner.body()

    def drop_additions(self) -> None:
        """Do not request usage in a stream."""
        if self._inner is not None:
            self._inner.drop_additions()

    def rejects_additions(self, answer: WholeAnswer) -> bool:
        """Return whether an error names the member that requests usage."""
        return self._inner is not None and self._inner.rejects_additions(answer)

    def is_stream(self, head: ResponseHead, begin: bytes = b"") -> bool | None:
        """Return whether the provider sends events to a client that requested them."""
        if not self.wants_stream or head.status >= 300:
            return False
        return is_events(head.headers, begin, _STREAMS, by_label=self._provider.has_lines)

    def whole(
        self, head: ResponseHead, body: bytes, *, max_bytes: int, detail: SummaryDetail = "facts"
    ) -> WholeAnswer:
        """Return a whole answer, or an error, in the client's dialect."""
        body = self._decoded(head, body, max_bytes)
        headers = self._client_headers(head)
        if head.status >= 400:
            return self._refusal(head, headers, body)
        try:
            if is_events(head.headers, body, _STREAMS, by_label=self._provider.has_lines):
                return self._joined(head, headers, body)
            if self._provider.is_error(body):
                return self._refusal(head, headers, body)
            answer = self._provider.read_answer(body, self._stamp)
            if answer.finish is None:
                raise UpstreamProtocolError("sent a response that was cut off")
            return self._whole_answer(head, headers, answer)
        except UpstreamProtocolError as exc:
            raise self._broken(exc.message) from exc

    def relay(self, head: ResponseHead) -> tuple[RawFields, BodyRelay]:
        """Return the client's fields, and the relay that translates the events."""
        headers = self._client_headers(head)
        reader = self._provider.event_reader(self._stamp)
        if self._memory is not None:
            reader = RememberingReader(reader, self._memory, self._consumer)
        relay = TranslatingRelay(
            self._upstream.host,
            reader,
            self._client.event_writer(self._conversation, self._stamp),
            refuse=lambda fault: self._fault_answer(headers, fault),
            client=self._client,
            decoder=self._decoder(head),
            keep=self._kept if self._keeps_content else None,
        )
        return with_type(headers, EVENTS), relay

    def _stream_of_choices(self) -> bool:
        """Return False, to request a whole response: deltas only have one choice."""
        if self._upstream.stream:
            name = self._conversation.name_of("n")
            what = f"{name} cannot be translated for a provider that is configured to stream"
            raise UnsupportedField(what, param=name)
        return False

    def _whole_answer(self, head: ResponseHead, headers: RawFields, answer: Answer) -> WholeAnswer:
        """Return an answer in the form that the client requested."""
        if self._memory is not None:
            self._memory.keep(self._consumer, answer.parts)
        lost, parts = answer.lost, answer.parts
        for other in answer.others:
            parts += other.parts
        for part in parts:
            if part.__class__ is Image and not self._client.has_image(part):
                lost = (*lost, LOST_IMAGE)
            elif part.__class__ is Text and part.citations and not self._client.has_citations:
                lost = (*lost, LOST_CITATIONS)
        if lost:
            lost = tuple(dict.fromkeys(lost))
            headers = self._client_headers(head, lost)
        whole = self._client.write_answer(answer, self._conversation, self._stamp)
        summary = AnswerSummary(
            id=answer.id or None,
            model=answer.model or None,
            service_tier=answer.service_tier,
            finish_reasons=(REASONS[answer.finish],),
            usage=answer.usage,
            body=whole if self._keeps_content else None,
            dropped=lost,
        )
        body, media = whole, JSON
        if self.wants_stream:
            body, media = self._events(answer, whole), EVENTS
        return WholeAnswer(head.status, with_length(with_type(headers, media), body), body, summary)

    def _events(self, answer: Answer, whole: bytes) -> bytes:
        if answer.others:
            return self._client.choice_events(whole, self._conversation)
        writer = self._client.event_writer(self._conversation, self._stamp)
        return writer.write(deltas_of(answer))

    def _joined(self, head: ResponseHead, headers: RawFields, body: bytes) -> WholeAnswer:
        """Return the answer of a stream, for a client that did not request events."""
        reader, collected = self._provider.event_reader(self._stamp), Accumulator()
        if media_type(head.headers) == FRAMES and (decoder := self._decoder(head)) is not None:
            body = decoder.feed(body)
        deltas = [*reader.feed(body), *reader.finish()]
        failed = next((delta for delta in deltas if isinstance(delta, Failed)), None)
        if failed is not None:
            return self._fault_answer(headers, failed.fault)
        collected.add(deltas)
        answer = collected.answer
        if answer.finish is None:
            raise UpstreamProtocolError("ended its stream too early")
        return self._whole_answer(head, headers, answer)

    def _refusal(self, head: ResponseHead, headers: RawFields, body: bytes) -> WholeAnswer:
        """Return a provider's error; keys are redacted before the text is cut short."""
        body = self._upstream.redact(body)
        fault = self._provider.read_fault(head.status, head.headers, body)
        return self._fault_answer(headers, fault)

    def _fault_answer(self, headers: RawFields, fault: ProviderFault) -> WholeAnswer:
        error = self._client.write_fault(fault)
        headers = with_length(with_type(headers, JSON), error.body)
        return WholeAnswer(
            error.status,
            headers,
            error.body,
            reasons=fault.reasons,
            provider_status=fault.status,
        )

    def _client_headers(self, head: ResponseHead, lost: tuple[str, ...] = ()) -> RawFields:
        """Return the provider's fields that describe the response, under the client's names.

        `lost` names what of the response is dropped; of a stream that is not known yet.
        """
        fields = client_fields(head, self._client.request_id_field)
        if self.dropped or lost:
            named = ", ".join((*self.dropped, *lost)).encode("ascii", "replace")[:_MAX_HEADER]
            fields.append((b"x-llm-mesh-dropped", named))
        return fields

    def _kept(self, collected: Accumulator) -> bytes | None:
        try:
            return self._client.write_answer(collected.answer, self._conversation, self._stamp)
        except UpstreamProtocolError:  # the answer was cut off
            return None

    def _decoder(self, head: ResponseHead) -> StreamDecoder | None:
        """Return a decoder from the provider's bytes to events; None if they are events."""
        if isinstance(self._inner, SameTransformer):
            return self._inner.decoder(head)
        coded_as = coding(head.headers)
        if not coded_as:
            return None
        return stream_decoder(self._upstream.host, coded_as)

    def _decoded(self, head: ResponseHead, body: bytes, max_bytes: int) -> bytes:
        coded_as = coding(head.headers)
        if not coded_as:
            return body
        if coded_as not in DECODABLE:
            raise self._broken("answered in a coding that was not asked for")
        return decoded_body(self._upstream.host, coded_as, body, max_bytes)

    def _broken(self, what: str) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"{self._upstream.host} {what}")
