"""Background work: bounded, and cancelled when the mesh is closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from .cancel_scope import CancelScope

__all__ = ["AsyncBackground", "Background"]

logger = logging.getLogger("llm_mesh_middleware")

_MAX_TASKS = 1024
_MAX_THREADS = 32


class AsyncBackground:
    """Background tasks, each in the event loop that started it."""

    def __init__(self, max_tasks: int = _MAX_TASKS) -> None:
        self._max_tasks = max_tasks
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any] | None:
        """Run `work` in a task, or drop it and return None if there are too many."""
        if len(self._tasks) >= self._max_tasks:
            work.close()
            logger.warning("background work was dropped: %d tasks are running", self._max_tasks)
            return None
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, work: Coroutine[Any, Any, object], *, within_s: float) -> None:
        """Run `work`, and wait for it at most `within_s`; after that it continues.

        A cancellation of the caller is raised after the wait.
        """
        task = self.start(work)
        if task is None:
            return
        loop, cancelled = asyncio.get_running_loop(), None
        until = loop.time() + within_s
        while not task.done() and (left_s := until - loop.time()) > 0:
            try:
                await asyncio.wait((task,), timeout=left_s)
            except asyncio.CancelledError as exc:
                cancelled = exc
        if cancelled is not None:
            raise cancelled

    async def aclose(self) -> None:
        """Cancel the running loop's tasks and wait until they have ended."""
        loop = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("background work failed", exc_info=task.exception())


class Background:
    """Background threads; daemons, so that they do not keep the process from exiting."""

    def __init__(self, max_threads: int = _MAX_THREADS) -> None:
        self._slots = threading.BoundedSemaphore(max_threads)
        self._max_threads = max_threads
        self._scopes: set[CancelScope] = set()

    def start(self, work: Callable[[CancelScope], object]) -> bool:
        """Run `work` in a thread, with the scope that `close` cancels.

        Returns:
            Whether it was started: it is dropped if there are too many.
        """
        if self.try_start(work):
            return True
        logger.warning("background work was dropped: %d threads are running", self._max_threads)
        return False

    def try_start(self, work: Callable[[CancelScope], object]) -> bool:
        """Run `work` as `start` does, but without a warning if there are too many."""
        if not self._slots.acquire(blocking=False):
            return False
        scope = CancelScope()
        self._scopes.add(scope)
        threading.Thread(
            target=self._run, args=(work, scope), name="llm-mesh-background", daemon=True
        ).start()
        return True

    def run(self, work: Callable[[], object], *, within_s: float) -> None:
        """Run `work`, and wait for it at most `within_s`; after that it continues."""
        done = threading.Event()

        def then_signal(_: CancelScope) -> None:
            with contextlib.ExitStack() as stack:
                stack.callback(done.set)
                work()

        if self.start(then_signal):
            done.wait(within_s)

    def close(self) -> None:
        """Cancel what is running, except what settles an exchange; do not wait for it."""
        for scope in list(self._scopes):
            scope.cancel()

    def _run(self, work: Callable[[CancelScope], object], scope: CancelScope) -> None:
        try:
            work(scope)
        except Exception:  # there is no caller to raise it to
            logger.exception("background work failed")
        finally:
            self._scopes.discard(scope)
            self._slots.release()
