"""How much work the hot paths are, in instructions: a busy machine takes no more of them.

`test_work` counts calls of functions, which misses what happens between them: a longer loop, a
rounded number, an attribute that is looked up along three classes. A figure over its limit is more
work; a figure far below asks for a lower limit. `python -m tests.benchmarks.instructions` prints
them all.
"""

from __future__ import annotations

import faulthandler
import platform
import sys

import pytest

from tests.benchmarks.callgrind import why_not
from tests.benchmarks.instructions import measure_instructions

pytestmark = pytest.mark.slow

# Thousands of instructions of a call, or of one event of a stream: eight in a hundred over what
# CPython 3.11 took where the yardstick was measured.
LIMITS = {
    "unary, no SDK": 310,
    "SDK of ours": 406,
    "SDK of the application": 905,
    "access line": 347,
    "event of a stream": 19.3,
    "translation": 620,
    "limit in memory": 329,
    "limit of tokens in memory": 365,
    "call that a view watches": 369,
    "cache hit": 267,
    "serve": 410,
    "outbound": 268,
    "WSGI": 385,
}


def reason() -> str | None:
    """Why instructions cannot be compared here, None if they can."""
    if platform.python_implementation() != "CPython" or sys.version_info[:2] != (3, 11):
        return "the limits are those of CPython 3.11"
    return why_not()


@pytest.mark.skipif(reason() is not None, reason=str(reason()))
def test_no_path_takes_more_instructions_than_it_did() -> None:
    # It takes most of a minute of a processor that does nothing else; the process that counts has a
    # deadline of its own.
    faulthandler.cancel_dump_traceback_later()
    found = measure_instructions()

    assert set(found) == set(LIMITS)
    more = {name: round(took, 1) for name, took in found.items() if took > LIMITS[name]}
    assert more == {}
