"""Estimates of the tokens of a request, before a provider has counted them.

A tokenizer would have to be that of the provider's model, and most fetch their tables from the
network. Bytes are counted instead, and what providers then report corrects the count.
"""

from __future__ import annotations

import re

import msgspec

from ..values.messages import ClientRequest
from ..values.usage import Usage

__all__ = ["NO_TOKENS", "Estimate", "Learned", "estimate_input", "estimate_tokens"]

_ASCII = bytes(range(128))
# An image or a recording in base64: a text of the same length would be far more tokens. In a short
# body it is not worth the search.
_SHORT_BYTES = 4096
_BINARY = re.compile(rb'[",][A-Za-z0-9+/=]{400,}"')
_BINARY_TOKENS = 500

_FIRST_OUTPUT = 256
_UNKNOWN_OUTPUT = 4096
_SHARE = 0.1  # of the newest call in what was learnt
_MAX_LEARNED = 4096


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a request: its input, the expected output, and the most that it may have.

    `uncorrected` is the input by its bytes alone.
    """

    input: int
    output: int
    max_output: int
    uncorrected: int = 0


NO_TOKENS = Estimate(0, 0, 0)


def estimate_input(body: bytes) -> int:
    """Return about how many tokens the text of a JSON body is.

    Four bytes of ASCII are a token; one and a half of other characters, escaped or not.
    """
    binaries = 0
    find, size = body.find, len(body)
    if size > _SHORT_BYTES and (find(b";base64,") >= 0 or find(b'data"') >= 0):
        body, binaries = _BINARY.subn(b"", body)
        find, size = body.find, len(body)
    # To look for one byte is much faster than for two.
    characters = body.count(b"\\u") if find(b"\\") >= 0 else 0
    ascii_bytes = size - 6 * characters
    if not body.isascii():
        others = len(body.translate(None, _ASCII))
        ascii_bytes -= others
        characters += others // 3
    tokens = ascii_bytes // 4 if ascii_bytes > 0 else 0
    return tokens + characters * 2 // 3 + binaries * _BINARY_TOKENS


class _Calls:
    """Averages over the calls of one kind: real input by estimated, and output."""

    __slots__ = ("deviation", "factor", "output")

    def __init__(self, factor: float, output: float) -> None:
        self.factor = factor
        self.output = output
        self.deviation = output / 2


class Learned:
    """What earlier calls have used, by rule and model; each process learns for itself.

    Threads may lose each other's updates, which makes an average no worse.
    """

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], _Calls] = {}

    def of(self, key: tuple[str, str]) -> tuple[float, int]:
        """Return what an estimate of input is multiplied by, and how much output to expect.

        That is the average and one deviation.
        """
        calls = self._calls.get(key)
        if calls is None:
            return 1.0, _FIRST_OUTPUT
        factor = calls.factor
        if not 0.5 <= factor <= 2.0:
            factor = 0.5 if factor < 0.5 else 2.0
        return factor, int(calls.output + calls.deviation) + 1

    def learn(self, key: tuple[str, str], estimate: Estimate, usage: Usage) -> None:
        """Take the counts of a call of which this was the estimate."""
        factor = usage.input_tokens / (estimate.uncorrected or 1)
        calls = self._calls.get(key)
        if calls is None:
            if len(self._calls) >= _MAX_LEARNED:
                self._calls.clear()
            self._calls[key] = _Calls(factor, usage.output_tokens)
            return
        calls.factor += _SHARE * (factor - calls.factor)
        error = usage.output_tokens - calls.output
        calls.output += _SHARE * error
        calls.deviation += _SHARE * (abs(error) - calls.deviation)


def estimate_tokens(request: ClientRequest, learned: Learned, key: tuple[str, str]) -> Estimate:
    """Return the estimate for a request; `key` says which earlier calls are like it."""
    uncorrected = estimate_input(request.body)
    factor, expected = learned.of(key)
    tokens, operation = int(uncorrected * factor), request.operation
    if operation is None or not operation.is_generation:
        return Estimate(tokens, 0, 0, uncorrected)
    wanted = operation.output_limit(request.fields)
    if wanted is None:
        return Estimate(tokens, expected, _UNKNOWN_OUTPUT, uncorrected)
    return Estimate(tokens, wanted if wanted < expected else expected, wanted, uncorrected)
