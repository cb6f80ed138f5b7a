"""Probabilities of tokens in chat completions and responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..._core.conversation.answer import TokenLogprob

__all__ = ["TokenMember", "read_tokens", "write_tokens"]


class _TopMember(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0


class TokenMember(msgspec.Struct, gc=False):
    """One token of the answer, with the likeliest tokens of its place."""

    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_TopMember] | None = None


def read_tokens(members: Sequence[TokenMember] | None) -> tuple[TokenLogprob, ...]:
    """Return tokens in the neutral form."""
    return tuple(
        TokenLogprob(
            member.token,
            member.logprob,
            tuple((top.token, top.logprob) for top in member.top_logprobs or ()),
        )
        for member in members or ()
    )


def write_tokens(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Return tokens as members."""
    return [
        _member(one.token, one.logprob) | {"top_logprobs": [_member(*top) for top in one.top]}
        for one in tokens
    ]


def _member(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
