"""Google's SDK in a loop with a tool on a model of every other dialect."""

from __future__ import annotations

import json

import httpx
import pytest
from google import genai
from google.genai import types

from llm_mesh_httpx import MeshTransport
from tests.clouds.bench import HOST, bench
from tests.rows import rows
from tests.translation.dialect_table import PROVIDERS

pytestmark = pytest.mark.slow

CALLS = [("call_1", "weather", {"city": "Basel"}), ("call_2", "weather", {"city": "Bern"})]
DECLARED = types.FunctionDeclaration(
    name="weather",
    parameters=types.Schema(
        type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
    ),
)
CONFIG = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[DECLARED])],
    thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048),
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


@rows("name", [name for name in PROVIDERS if name != "gemini"])
def test_thoughts_come_back_as_their_provider_signed_them(name: str) -> None:
    model = PROVIDERS[name]
    with bench(model.config) as made, httpx.Client(transport=MeshTransport(made.mesh)) as http:
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        chat = genai.Client(api_key="unused", http_options=options).chats.create(
            model="m", config=CONFIG
        )
        made.answer(model.plays("I should look.", "Let me look.", CALLS))
        answer = chat.send_message("How is the weather?")
        called = answer.function_calls or []
        assert [(one.name, one.args) for one in called] == [(n, args) for _, n, args in CALLS]
        made.answer(model.plays("Now I know.", "Fine.", ()))
        results = [
            types.Part.from_function_response(name="weather", response={"output": words})
            for words in ("sunny", "rain")
        ]
        assert chat.send_message(results).text == "Fine."
        sent = json.dumps(model.judge(made.asked))
        assert "sunny" in sent
        assert "rain" in sent
        assert model.proof in sent
