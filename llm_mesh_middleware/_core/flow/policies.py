"""Policies around an exchange, as layers of an onion.

    request ──> first policy ──> second policy ──> ... ──> exchange
    reply   <── first policy <── second policy <── ... <──

A policy is a generator like a flow. It raises to refuse the request, returns a reply to serve it,
yields a step to wait for I/O, and may change the reply that `proceed` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from ..values.messages import ClientRequest
from .reply import Flow

__all__ = ["Policy", "Proceed", "chain"]

# A client's request, or the call that routing has made of it.
Subject = TypeVar("Subject")
Proceed = Callable[[ClientRequest], Flow]


class Policy(Protocol):
    """One layer; immutable, with its state behind a port."""

    def __call__(self, request: ClientRequest, proceed: Proceed) -> Flow:
        """Serve `request`, usually by calling `proceed`.

        Raises:
            RequestError: the policy refuses the request.
        """


class _Layer(Protocol[Subject]):
    """A policy of either subject."""

    def __call__(self, subject: Subject, /, proceed: Callable[[Subject], Flow]) -> Flow: ...


def chain(
    policies: Sequence[_Layer[Subject]],
    proceed: Callable[[Subject], Flow],
) -> Callable[[Subject], Flow]:
    """Wrap `proceed` in `policies`, the first outermost."""
    for policy in reversed(policies):
        proceed = partial(policy, proceed=proceed)
    return proceed
