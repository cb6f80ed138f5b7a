"""The synchronous driver: carries out the steps of an exchange, up to its reply."""

from __future__ import annotations

import contextlib
import threading
import time

from ..._core.flow.exchange import Exchange
from ..._core.values.messages import Answer, Await, Failure, Race, Send, Sleep, Step
from ...exceptions import UpstreamError
from ..http.protocols import UpstreamClient, UpstreamResponse
from ..tasks.cancel_scope import CancelScope
from .delivery import Delivery
from .race import race

__all__ = ["drive"]


def drive(steps: Exchange, client: UpstreamClient, scope: CancelScope) -> Delivery:
    """Run `steps` up to their reply, in the calling thread.

    Args:
        steps: the exchange.
        client: makes the calls.
        scope: cancel it from another thread to end the exchange as if the client had left.

    Raises:
        MeshError: what the exchange raises; then no connection is left behind.
        ClientDisconnected: the scope was cancelled.
    """
    driver = _Driver(client, scope)
    answer: Answer = None
    try:
        while True:
            answer = driver.carry_out(steps.send(answer))
            scope.check()
    except StopIteration as stop:
        return Delivery(stop.value, driver.response)
    except Exception as error:
        with contextlib.suppress(Exception):  # it is raised below, once
            steps.throw(error)
        driver.drop()
        raise
    except BaseException:  # the server ends its worker, or the greenlet of this request
        steps.close()
        driver.drop()
        raise


class _Driver:
    """The connection of the current attempt; there is never more than one."""

    def __init__(self, client: UpstreamClient, scope: CancelScope) -> None:
        self._client = client
        self._scope = scope
        self.response: UpstreamResponse | None = None

    def carry_out(self, step: Step) -> Answer:
        if isinstance(step, Sleep):
            self.drop()
            self._scope.wait(threading.Event(), step.seconds)
            return None
        if isinstance(step, Await):
            self.drop()
            called = threading.Event()
            step.signal(called.set)
            self._scope.wait(called, max(0.0, step.deadline.at - time.monotonic()))
            return None
        if isinstance(step, Race):
            self.drop()
            raced, self.response = race(step, self._client, self._scope)
            return raced
        try:
            if isinstance(step, Send):
                self.drop()
                with step.request.scope():
                    self.response = self._client.open(step.request, step.deadline.at, self._scope)
                return self.response.head
            assert self.response is not None
            return self.response.read(step.deadline.at)
        except UpstreamError as error:
            return Failure(error)
        except TimeoutError:
            return Failure(step.deadline.error())

    def drop(self) -> None:
        """Let go of an attempt that is not the last."""
        response, self.response = self.response, None
        if response is not None:
            response.close()
