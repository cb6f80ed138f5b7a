"""A thread that carries out steps, so that the waiting thread can act in the meantime."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable

from ..._core.values.steps import SILENCE, Step, StepResult

__all__ = ["StepThread"]


class StepThread:
    """Carries out one step at a time, in the context of the thread that made it."""

    def __init__(self, perform: Callable[[Step], StepResult]) -> None:
        """Start the thread; it runs until `close`."""
        self._perform = perform
        self._steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[StepResult, BaseException | None]] = (
            queue.SimpleQueue()
        )
        self.is_busy = False
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="llm-mesh-steps", daemon=True
        )
        self._thread.start()

    def start(self, step: Step) -> None:
        """Start `step` in the thread."""
        self.is_busy = True
        self._steps.put(step)

    def result(self, until: float) -> StepResult:
        """Return the result of the step, or SILENCE if there is none by `until`.

        Raises:
            BaseException: what the step raised.
        """
        try:
            result, error = self._results.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return SILENCE
        self.is_busy = False
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the thread when its step has ended."""
        self._steps.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (step := self._steps.get()) is not None:
            try:
                self._results.put((self._perform(step), None))
            except BaseException as error:  # raised in the thread that waits for the result
                self._results.put((None, error))
