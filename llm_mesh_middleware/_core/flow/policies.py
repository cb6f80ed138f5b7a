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

from .reply import Flow

__all__ = ["Layer", "chain"]

# What the layers pass on: the call that routing has made of a request.
Subject = TypeVar("Subject")


class Layer(Protocol[Subject]):
    """A policy; immutable, with its state behind a port."""

    def __call__(self, subject: Subject, /, proceed: Callable[[Subject], Flow]) -> Flow:
        """Serve `subject`, usually by calling `proceed`.

        Raises:
            RequestError: the policy refuses it.
        """


def chain(
    policies: Sequence[Layer[Subject]],
    proceed: Callable[[Subject], Flow],
) -> Callable[[Subject], Flow]:
    """Wrap `proceed` in `policies`, the first outermost."""
    for policy in reversed(policies):
        proceed = partial(policy, proceed=proceed)
    return proceed
