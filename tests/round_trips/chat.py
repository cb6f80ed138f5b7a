"""Chat completion requests, as their writer has them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.round_trips.values import (
    URL,
    base64,
    calls,
    counts,
    efforts,
    floats,
    joined,
    names,
    optional,
    schemas,
    texts,
    whole,
)

__all__ = ["CHAT"]


def _chat_turns(made: list[tuple[Any, Any, list[Any]]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for asked, said, called in made:
        messages.append({"role": "user", "content": asked})
        answer: dict[str, Any] = {"role": "assistant", "content": said}
        if called:
            answer["tool_calls"] = [
                {"id": id, "type": "function", "function": {"name": n, "arguments": whole(args)}}
                for id, n, args, _ in called
            ]
        messages.append(answer)
        messages += [
            {"role": "tool", "tool_call_id": id, "content": result} for id, _, _, result in called
        ]
    return [*messages, {"role": "user", "content": "and?"}]


_chat_parts = st.lists(
    texts.map(lambda text: {"type": "text", "text": text})
    | st.just({"type": "image_url", "image_url": {"url": URL, "detail": "low"}})
    | base64.map(
        lambda d: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{d}"}}
    )
    | base64.map(lambda d: {"type": "input_audio", "input_audio": {"data": d, "format": "wav"}})
    | st.builds(
        lambda name, d: {
            "type": "file",
            "file": {"filename": name, "file_data": f"data:application/pdf;base64,{d}"},
        },
        names,
        base64,
    ),
    min_size=2,
    max_size=4,
)
_chat_tool = st.builds(
    lambda name, schema, more: {
        "type": "function",
        "function": {"name": name, "parameters": schema, **more},
    },
    names,
    schemas,
    optional(description=texts, strict=st.booleans()),
)
_chat_system = texts.map(lambda text: [{"role": "system", "content": text}]) | st.just([])
CHAT = joined(
    st.builds(
        lambda system, made: {"messages": system + _chat_turns(made)},
        _chat_system,
        st.lists(st.tuples(texts | _chat_parts, texts, st.just([]) | calls()), max_size=3),
    ),
    optional(
        model=names,
        temperature=floats,
        top_p=floats,
        max_tokens=counts,
        seed=counts,
        frequency_penalty=floats,
        presence_penalty=floats,
        logit_bias=st.just({"50256": -100}),
        stop=st.lists(texts, min_size=1, max_size=4),
        reasoning_effort=efforts,
        verbosity=st.sampled_from(["low", "high"]),
        service_tier=st.sampled_from(["auto", "default", "flex", "priority"]),
        user=names,
        response_format=st.just({"type": "json_object"})
        | st.builds(
            lambda name, schema, more: {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": schema, **more},
            },
            names,
            schemas,
            optional(description=texts, strict=st.booleans()),
        ),
    ),
    # Choices of one stream cannot be told apart in every dialect.
    st.just({}) | st.just({"stream": True}) | st.integers(2, 4).map(lambda count: {"n": count}),
    st.just({})
    | st.just({"logprobs": True})
    | st.integers(1, 20).map(lambda count: {"logprobs": True, "top_logprobs": count}),
    st.just({})
    | joined(
        st.builds(lambda tools: {"tools": tools}, st.lists(_chat_tool, min_size=1, max_size=3)),
        optional(
            tool_choice=st.sampled_from(["auto", "none", "required"])
            | names.map(lambda name: {"type": "function", "function": {"name": name}}),
            parallel_tool_calls=st.booleans(),
        ),
    ),
)
