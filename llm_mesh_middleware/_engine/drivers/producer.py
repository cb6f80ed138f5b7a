"""An iterator that runs in a thread of its own, so that its next item can be waited for a while."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

__all__ = ["Producer"]

Item = TypeVar("Item")


class Producer(Generic[Item]):
    """Hands on the items of a generator one by one; it is never more than one ahead."""

    def __init__(self, items: Generator[Item, None, None], interrupt: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            items: what is produced; closed in that thread when nobody wants more of it.
            interrupt: ends whatever the generator is waiting for.
        """
        self._items = items
        self._interrupt = interrupt
        self._news = threading.Condition()
        self._slot: list[Item] = []
        self._error: BaseException | None = None
        self._is_over = False
        self._is_wanted = True
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="llm-mesh-stream", daemon=True
        )
        self._thread.start()

    def next(self, timeout_s: float | None = None) -> Item | None:
        """The next item, None if there are no more.

        Raises:
            TimeoutError: there was none in time; one may ask again.
            BaseException: what the generator has raised.
        """
        with self._news:
            if not self._news.wait_for(lambda: bool(self._slot) or self._is_over, timeout_s):
                raise TimeoutError
            if self._slot:
                self._news.notify_all()
                return self._slot.pop()
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        """Want no more; the generator is closed before this returns."""
        with self._news:
            self._is_wanted = False
            self._news.notify_all()
        self._interrupt()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._hand_on():
                pass
        except BaseException as error:  # raised in the thread that waits for the items
            self._error = error
        finally:
            self._items.close()
            with self._news:
                self._is_over = True
                self._news.notify_all()

    def _hand_on(self) -> bool:
        item = next(self._items, None)
        if item is None:
            return False
        with self._news:
            self._slot.append(item)
            self._news.notify_all()
            self._news.wait_for(lambda: not (self._slot and self._is_wanted))
            return self._is_wanted
