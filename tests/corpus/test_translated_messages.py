"""What OpenAI's SDK reads of messages is what Anthropic's reads, whatever oddities they have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.corpus import reading
from tests.corpus.bench import Bench, direct
from tests.corpus.judging import check_record, each, judge_all
from tests.corpus.message_quirks import MESSAGE_QUIRKS, STREAM_QUIRKS, message, message_stream
from tests.corpus.responses import Case, Meaning, cases
from tests.corpus.test_chat import read_chunks, read_completion
from tests.corpus.test_messages import anthropic, messages

__all__ = ["anthropic"]

REQUEST = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


def told(blocks: Iterable[Any]) -> tuple[str, str, list[Any]]:
    """The text, the reasoning and the calls of a message."""
    said = {"text": "", "thinking": ""}
    calls = []
    for block in blocks:
        if block.type == "tool_use":
            calls.append((block.id, block.name, block.input))
        else:
            said[block.type] += getattr(block, block.type)
    return said["text"].encode(errors="ignore").decode(), said["thinking"], calls


def translated(means: Meaning) -> tuple[str, str, list[Any]]:
    calls = [(id, name, json.loads(arguments)) for id, name, arguments in means.calls]
    return means.text.replace("?", ""), means.reasoning, calls


@each(STREAM_QUIRKS)
def test_a_stream_of_messages_says_what_it_means(
    anthropic: Any, bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        with direct(case) as client, messages(anthropic, client).stream(**REQUEST) as stream:
            expected = told(stream.get_final_message().content)
        bench.send(case)
        chunks = [chunk for chunk in read_chunks(bench.openai("messages")) if chunk]
        assert translated(reading.of_chunks(chunks)) == expected
        check_record(bench, case)

    judge_all(cases(message_stream(), STREAM_QUIRKS, quirk, every=every), judge)


@each(MESSAGE_QUIRKS)
def test_a_message_says_what_it_means(anthropic: Any, bench: Bench, quirk: str, every: int) -> None:
    def judge(case: Case) -> None:
        with direct(case) as client:
            expected = told(messages(anthropic, client).create(**REQUEST).content)
        bench.send(case)
        read = read_completion(bench.openai("messages"))
        assert translated(reading.of_completion(read)) == expected
        check_record(bench, case)

    judge_all(cases(message(), MESSAGE_QUIRKS, quirk, every=every), judge)
