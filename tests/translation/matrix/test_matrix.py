"""Every client's SDK before a provider of every other dialect: answers, streams and errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from llm_mesh_middleware.testing import Stream
from tests.clouds.bench import Bench, bench
from tests.translation.dialect_table import PROVIDERS
from tests.translation.matrix.sdks import SDK, SDKS
from tests.translation.spoken.rows import ERROR_WORDS, INPUT, OUTPUT, Call, Part, Provider

pytestmark = pytest.mark.slow

PAIRS = [(client, name) for client in SDKS for name in PROVIDERS if client != name]
CALLS: Sequence[Call] = (("call_1", "look", {"at": "it"}), ("call_2", "look", {"at": "Zürich"}))
NAMED = tuple((name, args) for _, name, args in CALLS)
# What a model says, whole.
PARTS = {
    "text": Part(),
    "thought": Part(thought="hm"),
    "one call": Part("", calls=CALLS[:1], finish="tool_calls"),
    "calls": Part("Let me.", "hm", CALLS, "tool_calls"),
    "calls alone": Part("", "", CALLS, "tool_calls"),
    "cut short": Part(finish="length"),
    "refused": Part("I", finish="refused"),
}
# As a stream: thought, text, calls.
STREAMS = {
    "text": ("", "Grüezi, 世界", ()),
    "thought": ("hm", "Hi", ()),
    "calls": ("hm", "Let me.", CALLS),
    "calls alone": ("", "", CALLS),
}


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[SDK, Provider, Bench]]:
    client, name = request.param
    with bench(PROVIDERS[name].config) as made:
        yield SDKS[client], PROVIDERS[name], made


@pytest.mark.parametrize("said", PARTS)
def test_an_answer_is_what_was_said(pair: tuple[SDK, Provider, Bench], said: str) -> None:
    sdk, provider, made = pair
    part = PARTS[said]
    made.answer(provider.whole(part))
    told = sdk.ask(made, streams=False)
    provider.judge(made.asked)
    assert (told.text, told.thought) == (part.text, part.thought)
    assert told.calls == NAMED[: len(part.calls)]
    assert told.finish == provider.tells.get(part.finish, part.finish)
    assert (told.input, told.output, told.cached or 0) == (INPUT, OUTPUT, provider.cached)


@pytest.mark.parametrize("said", STREAMS)
def test_a_stream_is_what_was_said(pair: tuple[SDK, Provider, Bench], said: str) -> None:
    sdk, provider, made = pair
    thought, text, calls = STREAMS[said]
    made.answer(provider.plays(thought, text, calls))
    told = sdk.ask(made, streams=True)
    provider.judge(made.asked)
    assert (told.text, told.thought) == (text, thought)
    assert told.calls == NAMED[: len(calls)]
    assert told.finish == ("tool_calls" if calls else "stop")
    assert told.output > 0


def test_a_stream_in_single_bytes_is_the_same(pair: tuple[SDK, Provider, Bench]) -> None:
    sdk, provider, made = pair
    played = provider.plays("hm", "Grüezi, 世界", CALLS)
    whole = b"".join(chunk for chunk in played.chunks if isinstance(chunk, bytes))
    cut = [whole[at : at + 1] for at in range(len(whole))]
    made.answer(Stream(cut, headers=played.headers))
    told = sdk.ask(made, streams=True)
    assert (told.text, told.thought, told.calls) == ("Grüezi, 世界", "hm", NAMED)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503])
def test_an_error_is_of_the_sdks_own_class(
    pair: tuple[SDK, Provider, Bench], status: int, streams: bool
) -> None:
    sdk, provider, made = pair
    made.answer(provider.fails(status))
    with pytest.raises(sdk.raises[status], match=ERROR_WORDS):
        sdk.ask(made, streams=streams)
