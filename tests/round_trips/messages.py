"""Messages requests, as their writer has them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.round_trips.values import (
    URL,
    Members,
    base64,
    calls,
    counts,
    floats,
    joined,
    names,
    optional,
    schemas,
    texts,
)

__all__ = ["MESSAGES"]

_marks = optional(
    cache_control=st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
)
_image = {"type": "image", "source": {"type": "url", "url": URL}}


def _block(strategy: Members) -> Members:
    return joined(strategy, _marks)


_text_block = _block(texts.map(lambda text: {"type": "text", "text": text}))
_image_block = _block(
    st.just(_image)
    | base64.map(
        lambda d: {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": d},
        }
    )
)
_document_block = _block(
    st.builds(
        lambda source, more: {"type": "document", "source": source, **more},
        base64.map(lambda d: {"type": "base64", "media_type": "application/pdf", "data": d})
        | texts.map(lambda t: {"type": "text", "media_type": "text/plain", "data": t})
        | st.just({"type": "url", "url": "https://x.example/a.pdf"}),
        optional(title=texts, context=texts, citations=st.just({"enabled": True})),
    )
)
_thinking = st.builds(
    lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
    texts,
    names,
) | names.map(lambda data: {"type": "redacted_thinking", "data": data})


def _message_turns(made: list[tuple[Any, Any, Any, list[Any], bool]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for asked, thought, said, called, failed in made:
        messages.append({"role": "user", "content": [*results, *asked]})
        uses = [
            {"type": "tool_use", "id": id, "name": name, "input": args}
            for id, name, args, _ in called
        ]
        messages.append({"role": "assistant", "content": [*thought, *said, *uses]})
        results = [
            {"type": "tool_result", "tool_use_id": id, "content": result}
            | ({"is_error": True} if failed else {})
            for id, _, _, result in called
        ]
    return [*messages, {"role": "user", "content": [*results, {"type": "text", "text": "and?"}]}]


_message_turn = st.tuples(
    st.lists(_text_block | _image_block | _document_block, min_size=1, max_size=3),
    st.lists(_thinking, max_size=1),
    st.lists(_text_block, min_size=1, max_size=2),
    st.just([]) | calls(),
    st.booleans(),
)
_message_tool = st.builds(
    lambda name, schema, more, mark: {"name": name, "input_schema": schema, **more, **mark},
    names,
    schemas,
    optional(description=texts, strict=st.booleans()),
    _marks,
)
_message_choice = joined(
    st.sampled_from([{"type": "auto"}, {"type": "any"}])
    | names.map(lambda n: {"type": "tool", "name": n}),
    st.sampled_from([{}, {"disable_parallel_tool_use": True}]),
) | st.just({"type": "none"})
MESSAGES = joined(
    st.builds(
        lambda turns, limit: {"messages": _message_turns(turns), "max_tokens": limit},
        st.lists(_message_turn, max_size=3),
        st.integers(40_000, 50_000),
    ),
    optional(
        model=names,
        system=texts | st.lists(_text_block, min_size=2, max_size=3),
        temperature=floats,
        top_p=floats,
        top_k=counts,
        stop_sequences=st.lists(texts, min_size=1, max_size=3),
        metadata=names.map(lambda user: {"user_id": user}),
        service_tier=st.sampled_from(["auto", "standard_only"]),
        stream=st.just(True),
        output_config=schemas.map(
            lambda schema: {"format": {"type": "json_schema", "schema": schema}}
        ),
    ),
    # Without tools a history with calls is given those that it names, as the API wants it.
    st.builds(lambda tools: {"tools": tools}, st.lists(_message_tool, min_size=1, max_size=3)),
    optional(tool_choice=_message_choice),
)
