"""One copy of a request: the call, and its response, which is read and discarded.

begin      in the background; until then it costs the client nothing
prepare    the provider's own path, key, model and dialect, as for any attempt
receive    one attempt: no retries, no fallback
drain      to the end of the response, for its usage and finish reason
end        exactly once, on every path: the slot is freed, observers are notified
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from msgspec.structs import replace

from ....exceptions import AnswerableError, ClientDisconnected, ServerShutdown, UpstreamTimeout
from ...balance.backends import Backend
from ...balance.balancer import Candidate
from ...provider.health import Lease, ProviderHealth
from ...routing.mirror import Mirror
from ...routing.timeouts import Timeouts
from ...values.endpoint import Endpoint
from ...values.messages import ClientRequest, Deadline
from ...values.steps import Body, Send, Sleep, Step, StepResult, Steps
from ..attempts.attempt import Attempt
from ..attempts.context import CallContext
from ..attempts.outcome import Outcome
from ..attempts.relayed import relayed_body
from ..call import Account, account_of
from ..observer import Observation
from .outcome import MirrorLeg, MirrorOutcome, MirrorResult
from .primary import Primary, leg_of

__all__ = ["Copy"]

# A whole response is kept until it has been read; a stream is discarded piece by piece.
_MAX_RESPONSE_BYTES = 4 * 2**20


class Copy:
    """One copy of a request. It has a lease already: there is a slot for it."""

    def __init__(
        self,
        mirror: Mirror,
        endpoint: Endpoint,
        health: ProviderHealth,
        lease: Lease,
        *,
        context: CallContext,
        request: ClientRequest,
        primary: Primary,
        observation: Observation,
        on_end: Callable[[MirrorOutcome], None],
    ) -> None:
        """Prepare a copy.

        Args:
            mirror: the mirror that gets it.
            endpoint: an endpoint of the mirror.
            health: the health of the mirror.
            lease: a lease of that health.
            context: the client's context, whose timeouts and size limit are replaced.
            request: the client's request after its policies.
            primary: the client's call, which it is compared with.
            observation: follows the copy.
            on_end: called once, with the outcome.
        """
        self._mirror = mirror
        self._candidate = Candidate(Backend(mirror.upstream, 1), endpoint, health)
        self._lease = lease
        self._client_context = context
        self._request = request
        self._primary = primary
        self._on_end = on_end
        self._account = account_of(observation, shows_effects=True)
        self._account.at_end(self._ended)
        self._clock = context.clock
        self._began_at = context.clock()
        self._first_byte_s: float | None = None
        self._size_bytes = 0

    def run(self) -> Steps:
        """Make the call; errors of the provider are recorded, not raised."""
        try:
            yield Sleep(0.0)  # so that the client's reply is sent first
            self._began_at = self._clock()
            yield from self._call()
        except AnswerableError as error:
            self._account.ended(error.status, error, None)
        finally:
            self._lease.end("cancelled", self._clock())
            self._account.ended(None, ServerShutdown(), None)

    def _call(self) -> Generator[Step, StepResult, None]:
        context = self._context()
        attempt = Attempt.of(
            context,
            self._candidate,
            self._lease,
            number=1,
            preferred_host=self._mirror.upstream.host,
        )
        prepared = attempt.prepare()
        send = prepared if isinstance(prepared, Send) else (yield from prepared)
        head = (yield send) if isinstance(send, Send) else send
        received = attempt.receive(head)
        outcome = received if isinstance(received, Outcome) else (yield from received)
        self._first_byte_s = self._clock() - self._began_at
        if outcome.relay is not None:
            self._account.replying(attempt=1, is_stream=True)
            body = relayed_body(attempt, outcome, outcome.relay, context, attempt.bill)
            yield from self._drain(body)
        else:
            self._whole(outcome, attempt)

    def _context(self) -> CallContext:
        """Return the client's context, with the mirror's own limits."""
        client, mirror, host = self._client_context, self._mirror, self._mirror.upstream.host
        timeout_s = mirror.timeout_s
        limit = min(client.settings.max_response_bytes, _MAX_RESPONSE_BYTES)
        return replace(
            client,
            request=self._request,
            timeouts=_timeouts(client.timeouts, timeout_s),
            deadline=Deadline(self._clock() + timeout_s, "request", timeout_s, host),
            settings=replace(client.settings, max_response_bytes=limit),
            observation=self._account,
        )

    def _whole(self, outcome: Outcome, attempt: Attempt) -> None:
        self._size_bytes = len(outcome.body)
        attempt.bill(outcome.summary)
        self._lease.end(
            outcome.result,
            self._clock(),
            retry_after_s=outcome.retry_after_s or 0.0,
            cause=outcome.cause,
        )
        if outcome.error is None:
            self._account.replying(attempt=1, is_stream=False)
        usage = None
        if outcome.summary is not None:
            usage = outcome.summary.usage
            self._account.summarised(outcome.summary)
        self._account.ended(outcome.status, outcome.error, usage)

    def _drain(self, body: Body) -> Generator[Step, StepResult, None]:
        """Read a stream to its end; its bytes are only counted."""
        try:
            item = next(body)
            while True:
                if isinstance(item, bytes):
                    self._size_bytes += len(item)
                    item = next(body)
                else:
                    item = body.send((yield item))
        except StopIteration:
            pass
        finally:
            body.close()

    def _ended(self, ending: Account) -> None:
        leg = leg_of(
            ending,
            self._request.operation,
            self._clock() - self._began_at,
            self._first_byte_s,
            self._size_bytes,
            compares_content=self._mirror.compares_content,
        )
        result = _result(ending)
        self._primary.once_ended(lambda primary: self._compare(primary, leg, result))

    def _compare(self, primary: MirrorLeg, leg: MirrorLeg, result: MirrorResult) -> None:
        upstream = self._mirror.upstream
        self._on_end(MirrorOutcome(upstream.provider, leg.model, result, primary, leg))


def _timeouts(client: Timeouts, timeout_s: float) -> Timeouts:
    """Return the rule's timeouts, none of them longer than the mirror's."""
    return Timeouts(
        connect=min(client.connect, timeout_s),
        first_byte=timeout_s,
        idle=min(client.idle, timeout_s),
        request=timeout_s,
    )


def _result(ending: Account) -> MirrorResult:
    if isinstance(ending.error, UpstreamTimeout):
        return "timeout"
    if isinstance(ending.error, ClientDisconnected | ServerShutdown):
        return "cancelled"
    has_failed = ending.error is not None or ending.status is None or ending.status >= 400
    return "error" if has_failed else "success"
