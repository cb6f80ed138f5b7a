"""Single key presses from a terminal, or characters from another standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["read_keys"]


def read_keys() -> Iterator[str]:
    """Yield each key that is pressed, until the input ends."""
    with _unbuffered(sys.stdin.fileno()):
        while pressed := os.read(sys.stdin.fileno(), 1):
            yield pressed.decode("latin-1").lower()


@contextmanager
def _unbuffered(descriptor: int) -> Iterator[None]:
    """Make a terminal return keys at once, without showing them; Ctrl+C still interrupts."""
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
