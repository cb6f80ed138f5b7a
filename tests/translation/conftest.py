"""Worlds of one provider each; the provider's socket outlives a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.translation.worlds import CHAT, MESSAGES, RESPONSES, World, make_world


@pytest.fixture(scope="module")
def kept_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream


@pytest.fixture
def world(kept_upstream: FakeUpstream) -> Iterator[Callable[..., World]]:
    """`world(path, **openAIConfig)`."""
    with ExitStack() as stack:

        def make(path: str, **config: Any) -> World:
            return stack.enter_context(make_world(kept_upstream, path, **config))

        yield make


@pytest.fixture
def chat(world: Callable[..., World]) -> World:
    return world(CHAT)


@pytest.fixture
def messages(world: Callable[..., World]) -> World:
    return world(MESSAGES)


@pytest.fixture
def responses(world: Callable[..., World]) -> World:
    return world(RESPONSES)
