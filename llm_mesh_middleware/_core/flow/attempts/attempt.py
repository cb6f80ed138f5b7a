"""One call to one upstream: build the request, and read the response up to the commit point.

prepare    configured and forwarded fields, body of the transformer, observers, credential
receive    no head          a failure
           an error         read whole, redacted
           a whole body     read whole, unless it has come with its head; converted
           a stream         read up to its first event: the commit point
"""

from __future__ import annotations

from collections.abc import Generator

from ....exceptions import (
    ResponseTooLarge,
    UpstreamError,
    UpstreamProtocolError,
)
from ...balance.balancer import Candidate
from ...dialect import Transformer, WholeAnswer
from ...http.hops import next_hops
from ...pricing.charge import Charge
from ...pricing.prices import NO_PRICES
from ...private import PerCall
from ...provider.credential import Credential
from ...provider.health import Lease
from ...provider.upstream import Upstream, call_headers
from ...routing.retry_policy import Verdict
from ...values.messages import (
    Deadline,
    Failure,
    ResponseHead,
    UpstreamRequest,
    WholeResponse,
)
from ...values.steps import Read, Send, Step, StepResult
from ...values.summary import AnswerSummary, SummaryDetail
from ..observer import Observation
from .billing import charge_for
from .context import CallContext
from .outcome import Outcome, may_follow
from .retrying import retry_after_s

__all__ = ["Attempt"]

# How much of a body is read to detect its form.
_MAX_UNKNOWN_BYTES = 4096
# How many bytes of comments are held back: unlike events, they do not commit.
_MAX_HELD_BACK = 65_536


class Attempt(PerCall):
    """One call. It shares no headers, key, path or model with earlier attempts."""

    _context: CallContext
    upstream: Upstream
    candidate: Candidate
    lease: Lease
    number: int
    _preferred_host: str
    _transformer: Transformer
    _whole: Deadline
    _first_byte: Deadline

    @classmethod
    def of(
        cls,
        context: CallContext,
        candidate: Candidate,
        lease: Lease,
        number: int,
        preferred_host: str,
    ) -> Attempt:
        """Return an attempt; `preferred_host` is the provider host that the rule prefers."""
        upstream = candidate.backend.upstream
        if upstream.rewrites is not None:
            upstream = upstream.rewritten(context.request.model, context.random)
        request = context.request_for(upstream) if upstream.conversions else context.request
        transformer: Transformer = upstream.transformer(request, context.operation)
        if candidate.health.rejects_additions:
            transformer.drop_additions()
        whole = deadline = context.deadline.for_host(upstream.identity.host)
        if transformer.wants_stream:
            deadline = deadline.or_sooner(
                context.clock(), "first_byte", context.timeouts.first_byte
            )
        # A whole response only begins when the model has finished.
        return cls(
            context,
            upstream,
            candidate,
            lease,
            number,
            preferred_host,
            transformer,
            whole,
            deadline,
        )

    @property
    def model(self) -> str | None:
        """The requested model."""
        return self._transformer.model

    @property
    def is_for_stream(self) -> bool:
        """Whether the client gets a stream."""
        return self._transformer.wants_stream

    @property
    def has_key(self) -> bool:
        """Whether the mesh adds a credential to the call."""
        return self._context.operation in self.upstream.credentials

    def prepare(self) -> Send | Generator[Step, StepResult, Send | Failure]:
        """Return the step that makes the call, or how to get it if the credential needs a token.

        A credential that cannot be had is a failure of this attempt alone.
        """
        context = self._context
        request = self._request()
        # An observer may add trace context.
        request = context.observation.sending(request) or request
        credential = self.upstream.credentials.get(context.operation)
        if credential is not None:
            complete = credential.at_once(request)
            if complete is None:
                return self._authenticated(credential, request)
            request = complete
        return Send(request, self._first_byte)

    def _authenticated(
        self, credential: Credential, request: UpstreamRequest
    ) -> Generator[Step, StepResult, Send | Failure]:
        try:
            wall_clock, until = self._context.wall_clock, self._first_byte
            request = yield from credential.apply(request, wall_clock, until)
        except UpstreamError as error:
            return Failure(error)
        return Send(request, self._first_byte)

    def prepare_now(self) -> Send | None:
        """Prepare without waiting; return None if the credential needs to wait."""
        preparing = self.prepare()
        if isinstance(preparing, Send):
            return preparing
        try:
            next(preparing)
        except StopIteration as stop:
            ready: Send | Failure = stop.value
            return ready if isinstance(ready, Send) else None
        preparing.close()
        return None

    def bill(self, summary: AnswerSummary | None, is_last: bool = True) -> Charge | None:
        """Return what the attempt has cost, and report it; None without prices.

        The usage of the last attempt is also reported by the end of the exchange.
        """
        upstream, observation = self.upstream, self._context.observation
        if upstream.prices is NO_PRICES and (is_last or not observation.counts_all):
            return None
        if summary is None or summary.usage is None:
            return None
        charge = charge_for(
            upstream, self.number, self._transformer.model, summary.model, summary.usage
        )
        if not (charge.is_listed or observation.counts_all):
            return None
        observation.charged(charge)
        return charge

    def log_dropped(self, names: tuple[str, ...]) -> None:
        """Log what of the response the client's dialect does not have."""
        self._context.settings.fields_dropped(self.upstream.host, names)

    def drop(self, answer: ResponseHead | Failure | None) -> None:
        """Drop the attempt, because another one has won."""
        if answer is None:
            self.lease.end("cancelled", self._context.clock())
            return
        answer = self.upstream.secrets.redact_answer(answer)
        self._context.observation.answered(self.number, answer)
        if isinstance(answer, Failure):
            outcome = Outcome(answer.error.status, [], error=answer.error)
        else:
            outcome = Outcome(answer.status, [])
        self.lease.end(outcome.result, self._context.clock(), cause=outcome.cause)

    def receive(
        self, head: ResponseHead | Failure
    ) -> Outcome | Generator[Step, StepResult, Outcome]:
        """Return the outcome of a response, or how to read it until it is known what it is.

        A provider may repeat its key, so everything for the client and for observers is redacted
        here.
        """
        head = self.upstream.secrets.redact_answer(head)
        self._context.observation.answered(self.number, head)
        try:
            if type(head) is Failure:
                raise head.error
            if 300 <= head.status < 400:
                raise UpstreamProtocolError(
                    f"{self.upstream.host} answered with a redirect; none is followed"
                )
            if isinstance(head, WholeResponse) and not (
                self._transformer.wants_stream and self._is_stream(head, head.body)
            ):
                return self._converted(head, head.body)
        except UpstreamError as error:
            return self._failed(error)
        return self._received(head)

    def _received(self, head: ResponseHead) -> Generator[Step, StepResult, Outcome]:
        try:
            received = yield Read(self._first_byte)
            if received.__class__ is Failure:
                raise received.error
            chunks = [received]
            is_stream = self._transformer.is_stream(head, received)
            if is_stream is None:
                is_stream = yield from self._read_until_known(head, chunks)
            if is_stream:
                return (yield from self._begin_stream(head, chunks))
            body = yield from self._read_whole(chunks)
            return self._converted(head, body)
        except UpstreamError as error:
            return self._failed(error)

    def _failed(self, error: UpstreamError) -> Outcome:
        self.upstream.secrets.redact_error(error)
        return Outcome(error.status, [], error=error, may_follow=may_follow(error))

    def _read_until_known(
        self, head: ResponseHead, chunks: list[bytes]
    ) -> Generator[Step, StepResult, bool]:
        """Return whether the response is a stream; append the bytes read for that to `chunks`."""
        is_stream = None
        while is_stream is None and chunks[-1] and sum(map(len, chunks)) < _MAX_UNKNOWN_BYTES:
            chunks.append((yield from _read(self._first_byte)))
            is_stream = self._transformer.is_stream(head, b"".join(chunks))
        return self._is_stream(head, b"".join(chunks))

    def _is_stream(self, head: ResponseHead, body: bytes) -> bool:
        """Return whether a response is a stream, by what has been read of it."""
        is_stream = self._transformer.is_stream(head, body)
        return bool(self._transformer.is_stream(head) if is_stream is None else is_stream)

    def _begin_stream(
        self, head: ResponseHead, chunks: list[bytes]
    ) -> Generator[Step, StepResult, Outcome]:
        """Read up to the first event; until then another attempt is possible."""
        try:
            headers, relay = self._transformer.relay(head)
        except UpstreamProtocolError as error:
            return self._unreadable(error)
        secrets = self.upstream.secrets
        received, held, size = b"".join(chunks), [], 0
        while True:
            passed = relay.feed(received) if received else relay.finish()
            held.append(secrets.redact_content(passed))
            size += len(held[-1])
            if relay.refusal is not None:
                return self._whole_outcome(head, relay.refusal, relay.summary)
            if isinstance(relay.error, UpstreamError) and not relay.has_event:
                return self._unreadable(relay.error, relay.summary)
            if relay.has_event or not received or size > _MAX_HELD_BACK:
                break
            received = yield from _read(self._first_byte)
        body = b"".join(held)
        if not received and relay.error is None:
            summary = secrets.redact_summary(relay.summary)
            return Outcome(head.status, headers, body, summary=summary)
        return Outcome(head.status, headers, body, relay=relay)

    def _read_whole(self, chunks: list[bytes]) -> Generator[Step, StepResult, bytes]:
        """Read to the end of the body, or beyond its limit."""
        context, chunk = self._context, chunks[-1]
        size = len(chunk) if len(chunks) == 1 else sum(map(len, chunks))
        limit = context.settings.max_response_bytes
        read = Read(self._whole, context.timeouts.idle)
        while chunk and size <= limit:
            chunk = yield read
            if chunk.__class__ is Failure:
                raise chunk.error
            chunks.append(chunk)
            size += len(chunk)
        return (
            b"".join(chunks) if len(chunks) > 2 or chunk else chunks[0]
        )  # the last piece is empty

    def _converted(self, head: ResponseHead, body: bytes) -> Outcome:
        """Return the outcome of a response whose body was read."""
        limit = self._context.settings.max_response_bytes
        if len(body) > limit:
            host = self.upstream.host
            raise ResponseTooLarge(f"{host} answered with more than {limit} bytes")
        try:
            answer = self._transformer.whole(head, body, max_bytes=limit, detail=self._detail())
        except UpstreamProtocolError as error:
            return self._unreadable(error)
        if b"content-encoding" in head.headers.by_name:
            self._report_unread(answer)
        return self._whole_outcome(head, answer)

    def _report_unread(self, answer: WholeAnswer) -> None:
        for name, value in answer.headers:
            if name == b"content-encoding" and value.strip().lower() != b"identity":
                self._context.settings.passed_unread(self.upstream.host, value)
                return

    def _detail(self) -> SummaryDetail:
        """Return how much of the response is to be read."""
        observation, prices = self._context.observation, self.upstream.prices
        if self._context.operation.continues_by or (prices is not NO_PRICES and prices):
            return "facts"
        if observation.__class__ is Observation:
            return "nothing"
        detail = observation.detail
        return "usage" if detail == "nothing" and observation.counts_all else detail

    def _unreadable(self, error: UpstreamError, summary: AnswerSummary | None = None) -> Outcome:
        """Return the outcome of an unreadable response, which a retry would only pay for again."""
        self.upstream.secrets.redact_error(error)
        if summary is not None:
            summary = self.upstream.secrets.redact_summary(summary)
        return Outcome(error.status, [], summary=summary, error=error, may_follow=Verdict.ELSEWHERE)

    def _whole_outcome(
        self, head: ResponseHead, answer: WholeAnswer, seen: AnswerSummary | None = None
    ) -> Outcome:
        """Return the outcome of a whole response, or of the `seen` beginning of a stream."""
        secrets, is_error = self.upstream.secrets, answer.status >= 400
        body = secrets.redact(answer.body) if is_error else secrets.redact_content(answer.body)
        headers, summary = answer.headers, answer.summary
        if summary is None and seen is not None and seen.usage is not None:
            summary = seen
        if summary is not None:
            summary = secrets.redact_summary(summary)
        if len(body) != len(answer.body):
            headers = [field for field in headers if field[0] != b"content-length"]
            headers.append((b"content-length", b"%d" % len(body)))
        if not is_error:
            return Outcome(answer.status, headers, body, None, summary, counted=answer.counted)
        is_rejected_addition = self._transformer.rejects_additions(answer)
        if is_rejected_addition:
            self.candidate.health.rejects_additions = True
        return Outcome(
            answer.status,
            headers,
            body,
            summary=summary,
            reasons=answer.reasons,
            retry_after_s=retry_after_s(head.headers, self._context.wall_clock),
            is_disguised=head.status < 300,
            is_rejected_addition=is_rejected_addition,
            provider_status=answer.provider_status,
            counted=answer.counted,
        )

    def _request(self) -> UpstreamRequest:
        context, upstream, endpoint = self._context, self.upstream, self.candidate.endpoint
        transformer = self._transformer
        client, settings = context.request.headers, context.settings
        dropped = transformer.dropped
        if dropped:
            settings.fields_dropped(upstream.host, dropped)
        headers = transformer.headers(call_headers(upstream, client, settings.forward))
        hops = next_hops(client, settings.mesh_id, endpoint)
        return UpstreamRequest(
            endpoint,
            context.operation.method,
            transformer.target,
            headers if hops is None else (*headers, hops),
            transformer.body(),
            context.timeouts.connect,
            upstream.identity.name,
            transformer.model,
            self.number,
            added_usage=transformer.added_usage,
            preferred_host=self._preferred_host,
            vendor=upstream.vendor,
            dropped=dropped,
            dialect=transformer.dialect,
        )


def _read(deadline: Deadline) -> Generator[Step, StepResult, bytes]:
    received = yield Read(deadline)
    if isinstance(received, Failure):
        raise received.error
    data: bytes = received
    return data
