"""Frameworks of agents, in a loop with a tool, on models of dialects that they do not speak."""

from __future__ import annotations

import json
from typing import Any

import httpx
import httpx2
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_httpx.httpx2 import AsyncMeshTransport
from tests.clouds.bench import HOST, Bench, bench
from tests.rows import rows
from tests.translation.dialect_table import PROVIDERS
from tests.translation.spoken.rows import Provider

pytestmark = pytest.mark.slow

FOREIGN = [name for name in PROVIDERS if name != "chat"]
# pydantic-ai speaks Responses too.
FOREIGN_TO_BOTH = [name for name in FOREIGN if name != "responses"]
CALL = ("call_1", "weather", {"city": "Basel"})
ASK, FOUND, SAID = "How is the weather in Basel?", "sunny, 24 degrees", "It is sunny."
URL = f"http://{HOST}/v1"


def play(made: Bench, model: Provider) -> None:
    """Let the model call the tool, and end with an answer."""
    made.answer(model.plays("hm", "Let me look.", [CALL]), model.plays("hm", SAID, ()))


def check(made: Bench, model: Provider) -> None:
    """Both requests were the provider's own, and the second had the tool's result."""
    bodies = [model.judge(request) for request in made.upstream.requests]
    assert len(bodies) == 2
    assert "weather" in json.dumps(bodies[0])
    assert FOUND in json.dumps(bodies[1])


@rows("streams", [False, True])
@rows("name", FOREIGN)
def test_langchain_calls_a_tool(name: str, streams: bool) -> None:
    messages = pytest.importorskip("langchain_core.messages")
    tools = pytest.importorskip("langchain_core.tools")
    chat_openai = pytest.importorskip("langchain_openai").ChatOpenAI

    @tools.tool
    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return FOUND if city == "Basel" else "unknown"

    model = PROVIDERS[name]
    with bench(model.config) as made:
        play(made, model)
        llm = chat_openai(
            base_url=URL, api_key="unused", model="m", http_client=made.client, streaming=streams
        ).bind_tools([weather])
        history: list[Any] = [messages.HumanMessage(ASK)]
        answer = llm.invoke(history)
        history += [answer, *(weather.invoke(call) for call in answer.tool_calls)]
        assert llm.invoke(history).content == SAID
        check(made, model)


@pytest.mark.parametrize("name", FOREIGN_TO_BOTH)
async def test_pydantic_ai_calls_a_tool(name: str) -> None:
    agents = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = PROVIDERS[name]
    with bench(model.config) as made:
        async with httpx2.AsyncClient(transport=AsyncMeshTransport(made.mesh)) as client:
            provider = OpenAIProvider(base_url=URL, api_key="unused", http_client=client)
            for kind in (OpenAIChatModel, OpenAIResponsesModel):
                play(made, model)
                agent = agents.Agent(kind("m", provider=provider))

                @agent.tool_plain
                def weather(city: str) -> str:
                    """Tell the weather of a city."""
                    return FOUND if city == "Basel" else "unknown"

                assert (await agent.run(ASK)).output == SAID
                check(made, model)


@rows("name", FOREIGN)
def test_llama_index_calls_a_tool(name: str) -> None:
    """It needs a release of the OpenAI SDK that is built on httpx, so it is no part of `dev`."""
    like = pytest.importorskip("llama_index.llms.openai_like")
    from llama_index.core.tools import FunctionTool

    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return FOUND if city == "Basel" else "unknown"

    model = PROVIDERS[name]
    with bench(model.config) as made, httpx.Client(transport=MeshTransport(made.mesh)) as client:
        play(made, model)
        llm = like.OpenAILike(
            model="m",
            api_base=URL,
            api_key="unused",
            is_chat_model=True,
            is_function_calling_model=True,
            http_client=client,
        )
        answer = llm.predict_and_call([FunctionTool.from_defaults(weather)], ASK)
        assert str(answer) == FOUND
        assert model.judge(made.asked)


@rows("name", FOREIGN)
def test_instructor_gets_its_object(name: str) -> None:
    """It holds the OpenAI SDK back, so it is no part of `dev`."""
    instructor = pytest.importorskip("instructor")
    import openai
    from pydantic import BaseModel

    class Weather(BaseModel):
        city: str
        degrees: int

    model = PROVIDERS[name]
    with bench(model.config) as made:
        call = ("call_1", "Weather", {"city": "Basel", "degrees": 24})
        made.answer(model.plays("hm", "", [call]))
        client = openai.OpenAI(base_url=URL, api_key="unused", http_client=made.client)
        got = instructor.from_openai(client).chat.completions.create(
            model="m", response_model=Weather, messages=[{"role": "user", "content": ASK}]
        )
        assert got.model_dump() == {"city": "Basel", "degrees": 24}
        model.judge(made.asked)
