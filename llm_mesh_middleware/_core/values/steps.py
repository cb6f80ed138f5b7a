"""The steps of a flow: the requests of the core to a driver, and the result of each.

A flow serves one request as a generator that never does I/O. It yields steps, is sent their
results, and returns a `Reply`. A streamed reply's body is such a generator too; it yields bytes for
the client between its steps.

    flow      yields Step            is sent StepResult    returns Reply
    body      yields Step | bytes    is sent StepResult    returns nothing

| step    | asks for                                     | result                            |
|---------|----------------------------------------------|-----------------------------------|
| Send    | an upstream call                             | ResponseHead, Failure, or         |
|         |                                              | WholeResponse: Read is optional   |
| Read    | the response's next bytes                    | bytes (empty at the end), Failure |
| Race    | a call, and a second one if it is slow       | Raced                             |
| Ask     | I/O other than an upstream call              | the port's value, Refused         |
| Await   | a signal, or a deadline                      | None                              |
| Sleep   | a pause                                      | None                              |
| Spawn   | another flow, in the background              | None                              |
| Outlive | to continue without the client for waiters   | None                              |
| Beside  | another flow, with connections of its own    | what that flow returns            |
| Watch   | a step, with a notice if it is slow          | the step's result, SILENCE        |

A driver ends a flow or a body early by throwing the reason into it: `ClientDisconnected` or
`ServerShutdown`. It may then still yield steps, to settle its reservations, and a body may yield
its last bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Protocol

import msgspec

from ...exceptions import AnswerableError, UpstreamTimeout
from .messages import Deadline, Failure, ResponseHead, UpstreamRequest

__all__ = [
    "SILENCE",
    "Ask",
    "AsyncPort",
    "Await",
    "Nested",
    "Body",
    "Interest",
    "Outlive",
    "Port",
    "Race",
    "Raced",
    "Read",
    "Refused",
    "Send",
    "Silence",
    "Sleep",
    "Spawn",
    "Step",
    "StepResult",
    "Steps",
    "Watch",
    "ask",
]


class Send(msgspec.Struct, frozen=True, gc=False):
    """Make an upstream call."""

    request: UpstreamRequest
    deadline: Deadline


class Read(msgspec.Struct, frozen=True, gc=False):
    """Read the next bytes of the response.

    `idle_s` limits this one wait, in addition to `deadline`. A stream creates one such step and
    yields it repeatedly.
    """

    deadline: Deadline
    idle_s: float | None = None

    def passed(self, since: float) -> UpstreamTimeout:
        """Return the error of a wait that began at `since` and timed out."""
        if self.idle_s is None:
            return self.deadline.error()
        return self.deadline.or_sooner(since, "idle", self.idle_s).error()


class Sleep(msgspec.Struct, frozen=True):
    """Pause."""

    seconds: float


class Await(msgspec.Struct, frozen=True):
    """Wait until `signal` calls its callback, or for the deadline.

    The callback may be called immediately, and from another thread.
    """

    signal: Callable[[Callable[[], None]], None]
    deadline: Deadline


class Race(msgspec.Struct, frozen=True):
    """Make the call `first`; if it takes longer than `after_s`, make the call of `second` too.

    The first head that `is_good` accepts wins; the other call is cancelled.
    """

    first: Send
    second: Callable[[], Send | None]
    after_s: float
    is_good: Callable[[ResponseHead], bool]


class Raced(msgspec.Struct, frozen=True):
    """The result of each call of a `Race` (None for a cancelled one), and which one won."""

    results: tuple[ResponseHead | Failure | None, ...]
    winner: int


class Port(Protocol):
    """A way out of the core for I/O other than upstream calls: a store, a callback, a body.

    An `AnswerableError` that it raises is returned as `Refused`; any other exception ends the flow.
    """

    def ask(self, request: Any, until: float | None) -> Any:
        """Return the result of `request`; called in the thread of the exchange.

        Args:
            request: a request of the port's own kind.
            until: when to stop waiting, on the monotonic clock; None if the port has its own
                timeout.
        """


class AsyncPort(Protocol):
    """The asynchronous form of `Port`; an object may be both."""

    def aask(self, request: Any, until: float | None) -> Awaitable[Any] | bytes:
        """Return the result of `request`; called in the event loop of the exchange.

        Bytes that are there already need not be awaited.
        """


class Refused(msgspec.Struct, frozen=True):
    """An error that a port raised, returned as a value."""

    error: AnswerableError


class Ask(msgspec.Struct, frozen=True):
    """Call `port`, which must match the driver: synchronous or asynchronous."""

    port: Port | AsyncPort
    request: Any
    until: float | None = None


class Spawn(msgspec.Struct, frozen=True):
    """Run `flow` in the background; it is cancelled when the mesh is closed.

    The driver limits how many run at once; further ones are dropped and logged.
    """

    flow: Steps


class Interest(Protocol):
    """The waiters for the result of a flow."""

    def has_waiters(self) -> bool:
        """Return whether there are any."""

    def on_lost(self, lost: Callable[[], None]) -> None:
        """Call `lost` when the last waiter has left, from any thread; immediately if none waits."""


class Outlive(msgspec.Struct, frozen=True):
    """Continue in the background to the end of the reply if the client leaves while others wait.

    The flow is not notified that the client has left. If the waiters leave too, it ends as it would
    have ended without this step.
    """

    interest: Interest


class Nested(msgspec.Struct, frozen=True):
    """Run `flow` and wait for its result; the response that is being read stays open."""

    flow: Steps


class Watch(msgspec.Struct, frozen=True):
    """Carry out `step`, but return `SILENCE` if it takes until `at`, on the monotonic clock.

    The step continues. Another `Watch`, with None for the step, waits for it again.
    """

    step: Step | None
    at: float


class Silence:
    """The class of `SILENCE`."""


SILENCE: Final = Silence()

Step = Send | Read | Sleep | Await | Race | Ask | Spawn | Outlive | Nested | Watch
StepResult = Any  # depends on the step, see the table above
Steps = Generator[Step, StepResult, Any]
Body = Generator[Step | bytes, StepResult, None]


def ask(
    port: Port | AsyncPort, request: object, until: float | None = None
) -> Generator[Step, Any, Any]:
    """Return the port's answer.

    Raises:
        AnswerableError: what the port raised.
    """
    answer = yield Ask(port, request, until)
    if isinstance(answer, Refused):
        raise answer.error
    return answer
