"""Single keys from a terminal, or characters from whatever else standard input is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["read_keys"]


def read_keys() -> Iterator[str]:
    """Yield each key that is pressed; end with the input."""
    with _unbuffered(sys.stdin.fileno()):
        while pressed := os.read(sys.stdin.fileno(), 1):
            yield pressed.decode("latin-1").lower()


@contextmanager
def _unbuffered(descriptor: int) -> Iterator[None]:
    """Have a terminal hand out keys at once and not show them; Ctrl+C stays what it is."""
    if not os.isatty(descriptor):
        yield
        return
    try:
        import termios
        import tty
    except ImportError:  # Windows: a key, and Enter
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
