"""The thread of a process that follows clusters.

It starts with the first job and ends with the last. A forked child starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Background", "Job", "exclusive", "start"]

logger = logging.getLogger("llm_mesh_middleware")

_END_S = 5.0


class Job:
    """A coroutine that runs in the background until it is ended."""

    def __init__(self, background: Background, coroutine: Coroutine[Any, Any, None]) -> None:
        self.pid = os.getpid()
        self._background = background
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._done = threading.Event()
        self.call(self._start)

    @property
    def is_done(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self._done.is_set()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function in the job's loop, without waiting; do nothing if the loop has ended."""
        if self.pid == os.getpid():  # in a child the loop's wake-up call would reach the parent
            with suppress(RuntimeError):  # the loop is closed
                self._background.loop.call_soon_threadsafe(function, *args)

    def cancel(self) -> None:
        """Cancel it without waiting; for finalizers, which run at any time, in any thread."""
        self.call(self._cancel)

    def end(self) -> None:
        """Cancel it and wait for its end; with the last job the thread ends."""
        self.cancel()
        self._done.wait(_END_S)
        self._background.leave(self)

    def _start(self) -> None:
        self._task = self._background.loop.create_task(self._coroutine)
        self._task.add_done_callback(self._finish)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._background.jobs.discard(self)
        self._done.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("Kubernetes is no longer followed", exc_info=error)


class Background:
    """A thread with an event loop, for the jobs of one process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # aiohttp reads a netrc file in a thread of the executor; one is enough.
        self.loop.set_default_executor(ThreadPoolExecutor(1, "llm-mesh-kubernetes-files"))
        self.jobs: set[Job] = set()
        self._thread = threading.Thread(target=self._run, name="llm-mesh-kubernetes", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    def leave(self, job: Job) -> None:
        with exclusive():
            self.jobs.discard(job)
            if self.jobs or _Current.background is not self:
                return
            _Current.background = None
        self.stop()

    def stop(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_END_S)


class _Current:
    """What belongs to this process."""

    # Reentrant: a finalizer may run while the lock is held.
    lock = threading.RLock()
    background: Background | None = None
    # The parents' loops are kept: dropping them would close the parents' connections.
    left_behind: tuple[Background, ...] = ()


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock of the process, which a forked child replaces."""
    with _Current.lock:
        yield


def start(make: Callable[[], Coroutine[Any, Any, None]]) -> Job:
    """Make a coroutine and run it in the background of this process."""
    with exclusive():
        background = _Current.background
        if background is None:
            background = _Current.background = Background()
        job = Job(background, make())
        background.jobs.add(job)
        return job


def _after_fork() -> None:
    _Current.lock = threading.RLock()
    if _Current.background is not None:
        _Current.left_behind += (_Current.background,)
        _Current.background = None


def _at_exit() -> None:
    """End all jobs, so that connections close properly before the daemon thread stops."""
    background = _Current.background
    for job in list(background.jobs) if background is not None else ():
        job.end()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
