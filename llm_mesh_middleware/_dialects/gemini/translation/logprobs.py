"""Probabilities of tokens, from and to the neutral form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from ...._core.conversation.answer import TokenLogprob
from .shapes import LogprobsResult, TokenMember

__all__ = ["read_tokens", "write_tokens"]


def read_tokens(result: LogprobsResult | None) -> tuple[TokenLogprob, ...]:
    """Return the chosen tokens, each with the likeliest tokens of its position."""
    if result is None:
        return ()
    chosen, top = result.chosen_candidates or (), result.top_candidates or ()
    return tuple(
        TokenLogprob(
            token.token,
            token.log_probability,
            tuple(map(_pair, (likeliest and likeliest.candidates) or ())),
        )
        for token, likeliest in zip_longest(chosen, top[: len(chosen)])
    )


def _pair(token: TokenMember) -> tuple[str, float]:
    return token.token, token.log_probability


def write_tokens(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Return the member of a candidate with its tokens, if there are any."""
    if not tokens:
        return {}
    result: dict[str, Any] = {"chosenCandidates": [_token(t.token, t.logprob) for t in tokens]}
    if any(token.top for token in tokens):
        result["topCandidates"] = [
            {"candidates": [_token(*top) for top in token.top]} for token in tokens
        ]
    return {"logprobsResult": result}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logProbability": logprob}
