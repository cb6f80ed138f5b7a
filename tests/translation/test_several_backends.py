"""Retries, hedging and kept responses, where the backends of a rule speak different dialects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, Gate, Stream
from tests.canaries import canary
from tests.clouds import frames
from tests.clouds.converse import FRAMES
from tests.rows import rows
from tests.translation.chat_shapes import completion
from tests.translation.dialect_table import PROVIDERS
from tests.translation.messages_shapes import message, text
from tests.translation.test_others_to_responses import response, said
from tests.translation.worlds import events

KEY = canary("several")
RESPONSES = {"openAIConfig": {"apiKey": KEY, "apis": ["responses"]}}
ASK: Any = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}


class Site:
    """One virtual host before several providers, the first of them preferred."""

    def __init__(self, upstreams: Sequence[FakeUpstream], client: httpx2.Client) -> None:
        self.upstreams = upstreams
        self.anthropic = anthropic.Anthropic(
            base_url="http://llm", api_key="client", max_retries=0, http_client=client
        )
        self.openai = openai.OpenAI(
            base_url="http://llm/v1", api_key="client", max_retries=0, http_client=client
        )

    @property
    def counts(self) -> list[int]:
        return [len(upstream.requests) for upstream in self.upstreams]


@contextmanager
def site(*configs: dict[str, Any], **retry: Any) -> Iterator[Site]:
    with ExitStack() as stack:
        upstreams = [stack.enter_context(FakeUpstream(tls=False)) for _ in configs]
        providers = [
            LLMProvider.model_validate(
                {
                    "metadata": {"name": f"p{number}"},
                    "spec": {
                        "host": f"p{number}.example",
                        "endpoint": upstream.url,
                        "configs": {"defaultConfig": config},
                    },
                }
            )
            for number, (config, upstream) in enumerate(zip(configs, upstreams, strict=True))
        ]
        refs = [{"providerHost": f"p{n}.example", "priority": n} for n in range(len(configs))]
        rules = [{"backendRefs": refs, "retry": {"attempts": 2, **retry}}]
        spec = {"host": "llm", "rules": rules}
        route = LLMRoute.model_validate({"metadata": {"name": "llm"}, "spec": spec})
        mesh = stack.enter_context(closing(Mesh([*providers, route], settings=MeshSettings())))
        yield Site(upstreams, stack.enter_context(httpx2.Client(transport=MeshTransport(mesh))))


FIRST_ERRORS: dict[str, Stream] = {
    "messages": Stream(
        events({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    ),
    "bedrock": Stream([frames.exception("throttlingException", "busy")], headers=FRAMES),
    "chat": Stream(events({"error": {"message": "busy", "code": 503}})),
    "gemini": Stream(events({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})),
}


@rows("failing", FIRST_ERRORS)
@rows("serving", PROVIDERS)
def test_an_error_as_the_first_event_fails_over_to_any_dialect(failing: str, serving: str) -> None:
    with site(PROVIDERS[failing].config, PROVIDERS[serving].config) as made:
        made.upstreams[0].always(FIRST_ERRORS[failing])
        made.upstreams[1].always(PROVIDERS[serving].plays("hm", "Grüezi", ()))
        with made.anthropic.messages.stream(**ASK) as stream:
            got = stream.get_final_message()
        assert got.content[-1].text == "Grüezi"  # type: ignore[union-attr]
        assert made.counts[1] == 1


def test_a_slow_provider_is_overtaken_by_one_of_another_dialect() -> None:
    gate = Gate()
    with site(PROVIDERS["messages"].config, PROVIDERS["chat"].config, hedgeAfter="0.05s") as made:
        made.upstreams[0].always(Answer(body=message(text("late")), delay=gate))
        fast = completion({"role": "assistant", "content": "fast"}, "stop")
        made.upstreams[1].always(Answer(body=fast))
        got = made.openai.chat.completions.create(**ASK)
        assert got.choices[0].message.content == "fast"
        gate.open()
        assert made.counts == [1, 1]


def test_a_response_that_is_kept_is_continued_where_it_is_kept() -> None:
    """The provider that the rule prefers keeps nothing, so it cannot be asked."""
    with site(PROVIDERS["messages"].config, RESPONSES) as made:
        made.upstreams[1].always(Answer(body=response(said("Hi"))))
        got = made.openai.responses.create(model="m", input="and?", previous_response_id="resp_1")
        assert got.output_text == "Hi"
        assert made.counts == [0, 1]
        assert made.upstreams[1].requests[-1].json()["previous_response_id"] == "resp_1"


def test_a_response_that_nobody_keeps_is_refused_by_the_fields_name() -> None:
    with site(PROVIDERS["messages"].config, PROVIDERS["gemini"].config) as made:
        with pytest.raises(openai.BadRequestError) as raised:
            made.openai.responses.create(model="m", input="and?", previous_response_id="resp_1")
        assert (raised.value.code, raised.value.param) == (
            "unsupported_field",
            "previous_response_id",
        )
        assert made.counts == [0, 0]


def test_what_one_attempt_drops_is_not_said_of_the_next() -> None:
    """Each attempt is translated anew, from what the client has sent."""
    with site(PROVIDERS["messages"].config, PROVIDERS["chat"].config) as made:
        made.upstreams[0].always(Answer(503, body={"error": {"message": "busy"}}))
        fast = completion({"role": "assistant", "content": "x"}, "stop")
        made.upstreams[1].always(Answer(body=fast))
        raw = made.openai.chat.completions.with_raw_response.create(**ASK, seed=7)
        assert "x-llm-mesh-dropped" not in raw.headers
        assert made.upstreams[1].requests[-1].json()["seed"] == 7
        assert "seed" not in made.upstreams[0].requests[-1].json()
