"""What Anthropic's SDK reads of chat completions is what they mean, whatever oddities they have."""

from __future__ import annotations

import importlib
import json
from typing import Any

from tests.corpus import json_quirks, stream_quirks
from tests.corpus.bench import ASKED, Bench
from tests.corpus.judging import check_record, each, judge_all
from tests.corpus.responses import Case, cases, chunks, completion


def read(bench: Bench, *, streams: bool) -> Any:
    anthropic: Any = importlib.import_module("anthropic")
    client = anthropic.Anthropic(
        base_url="http://translated.example",
        api_key="none",
        max_retries=0,
        http_client=bench.client,
    )
    if not streams:
        return client.messages.create(**ASKED, max_tokens=9)
    with client.messages.stream(**ASKED, max_tokens=9) as stream:
        return stream.get_final_message()


def judge_message(case: Case, message: Any) -> None:
    means = case.response.means
    blocks = [block.to_dict() for block in message.content]
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
    calls = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    # Half of a surrogate pair means nothing in another form, and is left out or replaced.
    assert "".join(texts).replace("?", "") == means.text.encode(errors="ignore").decode()
    assert "".join(thoughts) == means.reasoning
    assert calls == [(name, json.loads(said)) for _, name, said in means.calls]


@each(stream_quirks.QUIRKS)
def test_a_stream_of_another_dialect_says_what_it_means(
    bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        bench.send(case)
        judge_message(case, read(bench, streams=True))
        check_record(bench, case)

    judge_all(cases(chunks(), stream_quirks.QUIRKS, quirk, every=every), judge)


@each(json_quirks.QUIRKS)
def test_a_completion_of_another_dialect_says_what_it_means(
    bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        bench.send(case)
        judge_message(case, read(bench, streams=False))
        check_record(bench, case)

    judge_all(cases(completion(), json_quirks.QUIRKS, quirk, every=every), judge)
