"""Google's SDK as a client of a mesh."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types

from llm_mesh_middleware.testing import FakeUpstream
from tests.translation.chat_shapes import completion
from tests.translation.worlds import CHAT, World, make_world

WORDS = completion({"role": "assistant", "content": "Hello"}, "stop")


@pytest.fixture(scope="module")
def chat(kept_upstream: FakeUpstream) -> Iterator[World]:
    """One world for all, as it takes the SDK long to make a client."""
    with make_world(kept_upstream, CHAT) as made:
        yield made


@cache
def sdk(client: httpx.Client) -> genai.Client:
    options = types.HttpOptions(base_url="http://llm", httpx_client=client)
    return genai.Client(api_key="theirs", http_options=options)


def client_of(world: World) -> genai.Client:
    """Google's SDK before a world's mesh."""
    return sdk(world.httpx_client)


def generate(world: World, contents: Any = "hi", **config: Any) -> types.GenerateContentResponse:
    made = types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
    )
    return client_of(world).models.generate_content(model="m", contents=contents, config=made)
