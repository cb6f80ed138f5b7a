"""Streams whose texts have sources, and what every client's SDK must read of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.translation.chat_shapes import DONE, chunk
from tests.translation.messages_shapes import block, end, start, text, words
from tests.translation.odd_streams import (
    BEGIN,
    CREATED,
    ROLE,
    completed,
    content,
    event,
    frame,
    item,
)
from tests.translation.reading import Read
from tests.translation.worlds import events

__all__ = ["SOURCES"]

ONE, TWO = "https://one.example/", "https://two.example/"


def note(url: str) -> dict[str, Any]:
    place = {"start_index": 0, "end_index": 1}
    return {"type": "url_citation", "url_citation": {"url": url, "title": "t", **place}}


def quoted(url: str) -> dict[str, Any]:
    more = {"title": "t", "cited_text": "c", "encrypted_index": "e"}
    cited = {"type": "web_search_result_location", "url": url, **more}
    return {"type": "citations_delta", "citation": cited}


def page(url: str) -> dict[str, Any]:
    return {"citation": {"title": "t", "location": {"web": {"url": url, "domain": "d"}}}}


SECTION = {"citation": {"title": "t", "location": {"documentChar": {"documentIndex": 0}}}}
FLAT = [{"type": "url_citation", "url": url, "title": "t"} for url in (ONE, TWO)]
SAID = item("message", content=[{"type": "output_text", "text": "a", "annotations": FLAT}])
FOUND = [{"web": {"uri": TWO, "title": "t"}}, {"maps": {}}]
_GIVEN: dict[str, tuple[list[Any], tuple[int, int]]] = {
    "chat": (
        [
            *(ROLE, chunk({"content": "a", "annotations": [note(ONE)]})),
            *(chunk({"annotations": [note(TWO)]}), chunk({}, "stop"), DONE),
        ],
        (0, 0),
    ),
    "messages": (
        [start(), *block(0, text(""), *words("a"), quoted(ONE), quoted(TWO)), *end()],
        (6, 7),
    ),
    "gemini": (
        [
            content({"text": "a"}),
            {
                "candidates": [
                    {
                        "citationMetadata": {"citationSources": [{"uri": ONE}, {"license": "x"}]},
                        "groundingMetadata": {"groundingChunks": FOUND, "webSearchQueries": ["q"]},
                    }
                ]
            },
            {
                "candidates": [
                    {"citationMetadata": {"citations": [{"uri": TWO}]}, "finishReason": "STOP"}
                ]
            },
        ],
        (0, 0),
    ),
    "bedrock": (
        [
            *(BEGIN, frame("contentBlockDelta", delta={"text": "a"})),
            *(frame("contentBlockDelta", delta=cited) for cited in (page(ONE), SECTION, page(TWO))),
            *(frame("contentBlockStop"), frame("messageStop", stopReason="end_turn")),
        ],
        (0, 0),
    ),
    "responses": (
        [
            *(CREATED, event("output_item.added", item=SAID | {"content": []})),
            event("output_text.delta", delta="a"),
            *(event("output_text.annotation.added", annotation=one) for one in FLAT),
            *(event("output_item.done", item=SAID), completed(SAID)),
        ],
        (5, 7),
    ),
}
SOURCES: Mapping[tuple[str, str], tuple[bytes, Read]] = {
    (provider, "sources"): (
        b"".join(events(*given)),
        Read("a", usage=usage, sources=(ONE, TWO)),
    )
    for provider, (given, usage) in _GIVEN.items()
}
