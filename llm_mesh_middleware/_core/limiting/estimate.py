"""Estimates of the tokens of a request, before a provider has counted them.

A tokenizer would have to match the provider's model, and most download their tables. Bytes are
counted instead, and the usage that providers report corrects later estimates.
"""

from __future__ import annotations

import re
from math import floor

import msgspec

from ..values.messages import ClientRequest
from ..values.usage import Usage

__all__ = [
    "NO_TOKENS",
    "Estimate",
    "Learned",
    "Past",
    "estimate_input",
    "estimate_tokens",
    "expected_tokens",
]

_ASCII = bytes(range(128))
# An image or a recording in base64 has far fewer tokens than a text of its length. Short bodies are
# not searched for them.
_SHORT_BYTES = 4096
_BINARY = re.compile(rb'[",][A-Za-z0-9+/=]{400,}"')
_BINARY_TOKENS = 500
_BACKSLASH = ord("\\")

_FIRST_OUTPUT = 256
_UNKNOWN_OUTPUT = 4096
# Of the first calls, each is learnt from, later one of five: no usual number of steps of an agent,
# so that all of them have their turn. The newest has this weight in the averages.
_FIRST_CALLS = 30
_EACH = 5
_SHARE = 0.2
_MAX_LEARNED = 4096


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a request: its input, the expected output, and the maximum output.

    `uncorrected` is the input estimated from bytes alone.
    """

    input: int
    output: int
    max_output: int
    uncorrected: int = 0


NO_TOKENS = Estimate(0, 0, 0)


def estimate_input(body: bytes) -> int:
    """Return the approximate number of tokens of a JSON body.

    Four bytes of ASCII are a token, and so are one and a half other characters, escaped or not.
    """
    binaries, size = 0, len(body)
    is_ascii, has_escapes = body.isascii(), _BACKSLASH in body  # one byte is found faster than two
    if size > _SHORT_BYTES and (body.find(b";base64,") >= 0 or body.find(b'data"') >= 0):
        body, binaries = _BINARY.subn(b"", body)
        size = len(body)
    characters = body.count(b"\\u") if has_escapes else 0
    ascii_bytes = size - 6 * characters
    if not is_ascii:
        others = len(body.translate(None, _ASCII))
        ascii_bytes -= others
        characters += others // 3
    tokens = ascii_bytes // 4 if ascii_bytes > 0 else 0
    return tokens + characters * 2 // 3 + binaries * _BINARY_TOKENS


class Past:
    """What earlier calls of one kind have used, as averages.

    `factor` is what an estimate of input is multiplied by, `expected` the output: the average and
    one deviation. Threads may lose each other's updates, which makes an average no worse.
    """

    __slots__ = ("_calls", "_deviation", "_output", "expected", "factor")

    def __init__(self) -> None:
        self.factor = 1.0
        self.expected = _FIRST_OUTPUT
        self._calls = 0
        self._output = self._deviation = 0.0

    def learn(self, uncorrected: int, usage: Usage) -> None:
        """Update the averages by the usage of a call whose input was estimated from bytes."""
        calls = self._calls
        self._calls = calls + 1
        if calls > _FIRST_CALLS and calls % _EACH:
            return
        factor, output = usage.input_tokens / (uncorrected or 1), usage.output_tokens
        if factor > 2.0:
            factor = 2.0
        elif factor < 0.5:
            factor = 0.5
        average: float = self._output
        if not calls:
            average, deviation = output, output / 2
        else:
            factor = self.factor + _SHARE * (factor - self.factor)
            error = output - average
            average += _SHARE * error
            deviation = self._deviation
            deviation += _SHARE * ((error if error > 0 else -error) - deviation)
        self.factor, self._output, self._deviation = factor, average, deviation
        self.expected = int(average + deviation) + 1


class Learned(dict[tuple[str, str], Past]):
    """What earlier calls have used, by rule and model; each process learns for itself."""

    def __missing__(self, kind: tuple[str, str]) -> Past:
        if len(self) >= _MAX_LEARNED:  # clients choose the models
            self.clear()
        past = self[kind] = Past()
        return past


def estimate_tokens(request: ClientRequest, past: Past) -> Estimate:
    """Return the estimate for a request; `past` is of calls like it."""
    return Estimate(*expected_tokens(request, past))


def expected_tokens(request: ClientRequest, past: Past) -> tuple[int, int, int, int]:
    """Return the numbers of the estimate, of which not every caller makes a value."""
    body = request.body
    size = len(body)
    if size <= _SHORT_BYTES and _BACKSLASH not in body and body.isascii():  # as most are
        uncorrected = size // 4
    else:
        uncorrected = estimate_input(body)
    tokens, operation = floor(uncorrected * past.factor), request.operation  # half of an `int()`
    if operation is None or not operation.is_generation:
        return tokens, 0, 0, uncorrected
    output_limit, expected = operation.output_limit, past.expected
    wanted = output_limit(request.fields)
    if wanted is None:
        return tokens, expected, _UNKNOWN_OUTPUT, uncorrected
    return tokens, wanted if wanted < expected else expected, wanted, uncorrected
