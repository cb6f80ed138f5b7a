"""The synchronous driver: carries out the steps of a flow in the calling thread, without a loop.

    drive(flow)    steps ... until the flow returns a Reply, or raises
    Delivery       iter    steps ... until the body yields bytes, or ends
                   close() throws the reason into a body that has not ended

The twin of `async_driver`: only the way of waiting differs. A `CancelScope` ends it from any
thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from ..._core.flow.reply import Flow
from ..._core.values.steps import (
    Ask,
    Await,
    Body,
    Interest,
    Nested,
    Outlive,
    Race,
    Read,
    Refused,
    Send,
    Sleep,
    Spawn,
    StepResult,
    Steps,
    Watch,
)
from ...exceptions import AnswerableError, ClientDisconnected
from ..http.protocols import UpstreamClient
from ..tasks.background import Background
from ..tasks.cancel_scope import CancelScope
from .connection import Connection
from .delivery import Delivery
from .step_thread import StepThread

__all__ = ["Driver", "drive", "run_apart"]

# As in the asynchronous driver.
_SETTLE_S = 1.0


def drive(
    flow: Flow, client: UpstreamClient, background: Background, scope: CancelScope
) -> Delivery:
    """Run `flow` until it returns its reply, in the calling thread.

    Args:
        flow: the exchange.
        client: makes its calls.
        background: runs what it spawns.
        scope: ends the exchange as if the client had left, when cancelled from another thread.

    Raises:
        MeshError: what the flow raises; then no connection is left open.
        ClientDisconnected: the scope was cancelled.
    """
    driver = Driver(client, background, scope)
    result: StepResult = None
    try:
        while True:
            result = driver.perform(flow.send(result))
    except StopIteration as stop:
        return Delivery(stop.value, driver)
    except Exception as error:
        with contextlib.suppress(Exception):  # it is raised below, once
            driver.end(flow, error)
        driver.close()
        raise
    except BaseException:  # the server ends its worker, or the greenlet of this request
        flow.close()
        driver.close()
        raise


class Driver(Connection):
    """The steps of one exchange."""

    __slots__ = ("_background", "_interest", "_thread")

    def __init__(self, client: UpstreamClient, background: Background, scope: CancelScope) -> None:
        Connection.__init__(self, client, scope)  # `super()` would be looked up each time
        self._background = background
        self._thread: StepThread | None = None
        self._interest: Interest | None = None

    def perform(self, step: Any) -> StepResult:
        """Carry out one step.

        Raises:
            ClientDisconnected: the scope was cancelled.
        """
        result = _PERFORM[step.__class__](self, step)
        self._scope.check()
        return result

    def next(self, body: Body) -> bytes | None:
        """Return the next bytes of `body`, None at its end."""
        item = next(body, None)
        while not isinstance(item, bytes):
            if item is None:
                return None
            try:
                item = body.send(self.perform(item))
            except StopIteration:
                return None
        return item

    def goes_on(self, body: Body, reason: BaseException) -> bool:
        """Continue `body` in the background, if others wait for its result.

        Returns:
            Whether it continues; then it closes the driver too.
        """
        interest, scope = self._interest, self._scope
        if interest is None or scope.is_cancelled or not isinstance(reason, ClientDisconnected):
            return False
        if not interest.has_waiters() or not self._background.start(partial(self._go_on, body)):
            return False
        interest.on_lost(scope.cancel)
        return True

    def end(self, body: Steps | Body, reason: BaseException) -> bytes:
        """Throw `reason` into a flow or a body, let it settle, and return its last bytes."""
        self._end_watch()
        last: list[bytes] = []
        try:
            item = body.throw(reason)
            while isinstance(item, bytes):
                last.append(item)
                item = next(body)
            self._background.run(lambda: self._settle(body, item, last), within_s=_SETTLE_S)
        except StopIteration:
            pass
        except Exception as raised:
            if raised is not reason:  # raised through if there is nothing to settle
                raise
        return b"".join(last)

    def close(self) -> None:
        """Close the last attempt's connection, or keep it if its response was read whole."""
        self._end_watch()
        self._drop()

    def _go_on(self, body: Body, scope: CancelScope) -> None:
        scope.adopt(self._scope)
        try:
            while self.next(body) is not None:
                pass
        except ClientDisconnected as reason:
            self.end(body, reason)
        finally:
            body.close()
            self.close()

    def _settle(self, steps: Steps | Body, item: Any, last: list[bytes]) -> None:
        with contextlib.suppress(StopIteration):
            while True:
                if isinstance(item, bytes):
                    last.append(item)
                    item = next(steps)
                else:
                    item = steps.send(_PERFORM[item.__class__](self, item))

    def _ask(self, step: Ask) -> StepResult:
        try:
            port: Any = step.port
            return port.ask(step.request, step.until)
        except AnswerableError as error:
            return Refused(error)

    def _spawn(self, step: Spawn) -> None:
        flow, client, background = step.flow, self._client, self._background
        first = next(flow, None)  # only a generator that has begun runs its `finally` when dropped
        if first is None:
            return
        if not background.start(lambda scope: run_apart(flow, client, background, scope, first)):
            flow.close()

    def _outlive(self, step: Outlive) -> None:
        self._interest = step.interest

    def _beside(self, step: Nested) -> StepResult:
        return _run(step.flow, None, self._client, self._background, self._scope)

    def _watch(self, step: Watch) -> StepResult:
        if self._thread is None:
            self._thread = StepThread(self.perform)
        if step.step is not None:
            self._thread.start(step.step)
        return self._thread.result(step.at)

    def _end_watch(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            if thread.is_busy:
                self._scope.cancel()
            thread.close()


_PERFORM: dict[type, Callable[[Driver, Any], StepResult]] = {
    Send: Driver._send,
    Read: Driver._read,
    Race: Driver._race,
    Ask: Driver._ask,
    Sleep: Driver._sleep,
    Await: Driver._await,
    Spawn: Driver._spawn,
    Outlive: Driver._outlive,
    Nested: Driver._beside,
    Watch: Driver._watch,
}


def _run(
    steps: Steps, step: Any, client: UpstreamClient, background: Background, scope: CancelScope
) -> StepResult:
    """Run another flow to its end, from `step` if it has begun; return its result."""
    driver = Driver(client, background, scope)
    try:
        while True:
            step = steps.send(None if step is None else driver.perform(step))
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()
        driver.close()


def run_apart(
    steps: Steps,
    client: UpstreamClient,
    background: Background,
    scope: CancelScope,
    step: Any = None,
) -> None:
    """Run a flow without a client, to its end or until it is cancelled.

    Args:
        steps: the flow.
        client: makes its calls.
        background: runs the flows that it spawns.
        scope: cancels it.
        step: its first step, if it has begun.
    """
    with contextlib.suppress(ClientDisconnected):
        _run(steps, step, client, background, scope)
