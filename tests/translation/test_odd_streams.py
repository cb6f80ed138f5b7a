"""Odd streams of every provider, as every client's SDK reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.rows import rows
from tests.translation.chat_shapes import chunk
from tests.translation.dialect_table import CLIENTS, relay
from tests.translation.messages_shapes import end, start
from tests.translation.odd_sources import SOURCES
from tests.translation.odd_streams import ODD, RESPONSES, begun, uses
from tests.translation.reading import READERS, Read
from tests.translation.worlds import events

CUT_OFF = {
    "messages": ("chat", [begun(0, "a", "one", '{"x":'), chunk({}, "length")]),
    "gemini": ("messages", [start(), *uses(0, "one", '{"x":'), *end("max_tokens")]),
}
ALL = {**ODD, **SOURCES}
PAIRS = [(client, *row) for client in CLIENTS for row in ALL if client != row[0]]


@pytest.mark.slow
@rows("client, provider, name", PAIRS)
def test_an_odd_stream_is_read_as_it_was_meant(client: str, provider: str, name: str) -> None:
    body, told = ALL[provider, name]
    one = relay(client, provider)
    passed = one.feed(body) + one.finish()
    if isinstance(told, Read):
        if client == "messages":  # it has no place for them
            told = replace(told, images=(), sources=())
        if client != "gemini":  # which alone has a place for them
            told = replace(told, drafts=())
        assert READERS[client](passed) == told
        return
    with pytest.raises(Exception, match=told):
        READERS[client](passed)


@rows("client, provider, name", PAIRS)
def test_it_does_not_matter_how_its_bytes_arrive(client: str, provider: str, name: str) -> None:
    body, _ = ALL[provider, name]
    whole, cut = relay(client, provider), relay(client, provider)
    passed = [*(cut.feed(body[at : at + 1]) for at in range(len(body))), cut.finish()]
    assert b"".join(passed) == whole.feed(body) + whole.finish()


@rows("client", [client for client in CLIENTS if client != "chat"])
def test_a_stream_that_breaks_before_it_says_anything_has_begun_nothing(client: str) -> None:
    """Another backend can be asked."""
    one = relay(client, "ollama")
    one.feed(b'{"model": "o", "message": {}, "done": true, "done_reason": "load"}\n')
    assert not one.has_event
    assert one.error is not None


@rows("client", ["messages", "gemini"])
def test_a_call_that_the_limit_of_tokens_cuts_off_has_no_arguments(client: str) -> None:
    """Both dialects have nothing but objects there."""
    provider, given = CUT_OFF[client]
    one = relay(client, provider)
    read = READERS[client](one.feed(b"".join(events(*given))) + one.finish())
    assert (read.calls, read.finish) == ((("one", {}),), "length")


def test_a_refusal_ends_a_message_as_one() -> None:
    refusal = {"type": "refusal", "refusal": "no"}
    said = {"type": "message", "id": "i", "content": [refusal]}
    *_, last = RESPONSES["all of it in the last event"][0]
    response = last["response"] | {"output": [said]}
    one = relay("messages", "responses")
    passed = one.feed(b"".join(events(last | {"response": response})))
    assert READERS["messages"](passed) == Read("no", finish="content_filter", usage=(5, 7))
