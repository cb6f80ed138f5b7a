"""The steps of a flow: what the core asks a driver for, and what it is given in return.

A flow serves one request as a generator that never does I/O. It yields steps, is sent their
results, and returns a `Reply`. A streamed reply's body is such a generator too; it yields bytes for
the client between its steps.

    flow      yields Step            is sent StepResult    returns Reply
    body      yields Step | bytes    is sent StepResult    returns nothing

| step    | asks for                                     | result                            |
|---------|----------------------------------------------|-----------------------------------|
| Send    | an upstream call                             | ResponseHead, Failure             |
| Read    | the response's next bytes                    | bytes (empty at the end), Failure |
| Race    | a call, and a second one if it is slow       | Raced                             |
| Ask     | I/O that is no upstream call                 | the port's value, Refused         |
| Await   | a signal, or a deadline                      | None                              |
| Sleep   | a pause                                      | None                              |
| Spawn   | another flow, run beside this one            | None                              |
| Watch   | a step, but word after a while if it is slow | the step's result, SILENCE        |

A driver ends a flow or a body early by throwing the reason into it: `ClientDisconnected` or
`ServerShutdown`. It may then still yield steps, to settle what it has reserved, and a body may
yield its last bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from ...exceptions import AnswerableError, UpstreamTimeout
from .messages import Deadline, Failure, ResponseHead, UpstreamRequest

__all__ = [
    "SILENCE",
    "Ask",
    "AsyncPort",
    "Await",
    "Body",
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


class Send(msgspec.Struct, frozen=True):
    """Make an upstream call."""

    request: UpstreamRequest
    deadline: Deadline


class Read(msgspec.Struct, frozen=True, gc=False):
    """Read the next bytes of the response.

    `idle_s` limits this one wait, besides `deadline`. A stream makes one such step and yields it
    again and again.
    """

    deadline: Deadline
    idle_s: float | None = None

    def passed(self, since: float) -> UpstreamTimeout:
        """Return the error of a wait that began at `since` and brought nothing in time."""
        if self.idle_s is None:
            return self.deadline.error()
        return self.deadline.or_sooner(since, "idle", self.idle_s).error()


@dataclass(frozen=True, slots=True)
class Sleep:
    """Pause."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until `signal` calls what it is given, or for the deadline.

    The call may come at once, and from another thread.
    """

    signal: Callable[[Callable[[], None]], None]
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Race:
    """Make the call `first`, and if it takes longer than `after_s` the one of `second` as well.

    The first head that `is_good` accepts wins; the other call is cancelled.
    """

    first: Send
    second: Callable[[], Send | None]
    after_s: float
    is_good: Callable[[ResponseHead], bool]


@dataclass(frozen=True, slots=True)
class Raced:
    """What each call of a `Race` returned (None for a cancelled one), and which is read on."""

    results: tuple[ResponseHead | Failure | None, ...]
    winner: int


class Port(Protocol):
    """A way out of the core for I/O that is no upstream call: a store, a callback, a body.

    An `AnswerableError` that it raises is returned as `Refused`; any other exception ends the flow.
    """

    def ask(self, request: Any, until: float | None) -> Any:
        """Return the answer to `request`; called in the thread of the exchange.

        Args:
            request: what the port understands.
            until: when to stop waiting, on the monotonic clock; None where the port itself knows.
        """


class AsyncPort(Protocol):
    """The asynchronous twin of `Port`; an object may be both."""

    async def aask(self, request: Any, until: float | None) -> Any:
        """Return the answer to `request`; called in the event loop of the exchange."""


class Refused(msgspec.Struct, frozen=True):
    """What a port raised; the error is returned as a value."""

    error: AnswerableError


class Ask(msgspec.Struct, frozen=True):
    """Ask `port`, which must be of the driver's kind."""

    port: Port | AsyncPort
    request: Any
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Spawn:
    """Run `flow` beside this one; it is cancelled when the mesh is closed.

    Its number is bounded by the driver: beyond that it is dropped, which is logged.
    """

    flow: Steps


@dataclass(frozen=True, slots=True)
class Watch:
    """Carry out `step`, but return `SILENCE` if it takes until `at`, on the monotonic clock.

    The step goes on. Another `Watch`, with None for the step, waits for it again.
    """

    step: Step | None
    at: float


class Silence:
    """The class of `SILENCE`."""


SILENCE: Final = Silence()

Step = Send | Read | Sleep | Await | Race | Ask | Spawn | Watch
StepResult = Any  # by the step, as the table above says; each place that yields one knows which
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
