"""The tier that has served a request, in answers of another dialect of OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._dialects.translation.whole import Accumulator, deltas_of
from tests.rows import rows
from tests.translation.chat_shapes import ASK, DONE, USAGE, chunk
from tests.translation.dialect_table import DIALECTS, PROVIDERS, relay
from tests.translation.spoken.rows import Part
from tests.translation.test_others_to_responses import text_events
from tests.translation.worlds import CHAT, World, events

STAMP = Stamp(1, "token", "m")
PAIRS = [("chat", "responses"), ("responses", "chat")]
SAID = {name: PROVIDERS[name].write(Part()) for name in ("chat", "responses")}

Tiers = tuple[str | None, str | None]


def chunks(*tiers: str | None) -> list[Any]:
    """A stream of chat completions; each of four chunks names its tier, or none."""
    given = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}),
        chunk({}, "stop"),
        chunk(usage=USAGE),
    ]
    tiered = zip(given, tiers, strict=True)
    return [one if tier is None else one | {"service_tier": tier} for one, tier in tiered] + [DONE]


def named(begin: str | None, end: str | None) -> list[Any]:
    """A stream of Responses whose first and last event name a tier, or none."""
    first, *between, last = text_events()
    return [
        first | {"response": first["response"] | {"service_tier": begin}},
        *between,
        last | {"response": last["response"] | {"service_tier": end}},
    ]


def read_tiers(passed: bytes) -> list[str | None]:
    """The tiers in the events of either dialect; those without a response have none."""
    data = [line[5:] for line in passed.splitlines() if line.startswith(b"data:")]
    objects = [json.loads(one) for one in data if one.strip() != b"[DONE]"]
    bodies = [one.get("response") if "type" in one else one for one in objects]
    return [body.get("service_tier") for body in bodies if body is not None]


@rows("client, provider", PAIRS)
def test_a_whole_answer_names_it(client: str, provider: str) -> None:
    given = json.dumps(SAID[provider] | {"service_tier": "flex"}).encode()
    answer, speaks = DIALECTS[provider].side.read_answer(given, STAMP), DIALECTS[client]
    body = speaks.side.write_answer(answer, speaks.side.read_request(speaks.request), STAMP)
    assert json.loads(body)["service_tier"] == "flex"


TO_RESPONSES: list[tuple[list[Any], Tiers]] = [
    (chunks("flex", "flex", "flex", "flex"), ("flex", "flex")),
    (chunks(None, None, "priority", None), (None, "priority")),
    (chunks("default", None, "priority", None), ("default", "priority")),
    (chunks(None, None, None, None), (None, None)),
]


@rows("given, told", TO_RESPONSES)
def test_the_events_of_a_response_name_it(given: list[Any], told: Tiers) -> None:
    one = relay("responses", "chat")
    passed = one.feed(b"".join(events(*given))) + one.finish()
    begin, end = told
    assert read_tiers(passed) == [begin, begin, end]
    assert one.summary.service_tier == end


TO_CHAT: list[tuple[list[Any], Tiers]] = [
    (named("flex", "flex"), ("flex", "flex")),
    (named("auto", "default"), (None, "default")),  # `auto` says nothing of what is used
    (named("default", "priority"), ("default", "priority")),
    (named("flex", None), ("flex", "flex")),
    (named(None, None), (None, None)),
]


@rows("given, told", TO_CHAT)
def test_chunks_name_it_as_soon_as_it_is_known(given: list[Any], told: Tiers) -> None:
    one = relay("chat", "responses")
    *early, last, counts = read_tiers(one.feed(b"".join(events(*given))))
    begin, end = told
    assert set(early) == {begin}
    assert (last, counts, one.summary.service_tier) == (end, end, end)


@rows("name", ["chat", "responses"])
def test_the_two_forms_of_an_answer_have_the_same(name: str) -> None:
    side = DIALECTS[name].side
    given = json.dumps(SAID[name] | {"service_tier": "flex"}).encode()
    collected = Accumulator()
    collected.add(deltas_of(side.read_answer(given, STAMP)))
    assert collected.answer.service_tier == "flex"


def test_sdks_get_it_with_a_stream(world: Callable[..., World]) -> None:
    chat = world(CHAT, apis=["chat"])
    chat.streams(*chunks("flex", "flex", "flex", "flex"))
    with chat.openai.responses.stream(model="m", input="hi") as stream:
        assert stream.get_final_response().service_tier == "flex"
    responses = world(CHAT, apis=["responses"])
    responses.streams(*named("priority", "priority"))
    with responses.openai.chat.completions.stream(**ASK) as stream:
        assert stream.get_final_completion().service_tier == "priority"
