"""Responses requests, as their writer has them."""

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

__all__ = ["RESPONSES"]


def _items(made: list[tuple[Any, Any, str, list[Any], Any]]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for asked, thought, said, called, custom in made:
        items += [{"role": "user", "content": asked}, *thought]
        items.append({"role": "assistant", "content": said})
        for id, name, args, _ in called:
            call = {"call_id": id, "name": name, "arguments": whole(args)}
            items.append({"type": "function_call", **call})
        if custom:
            items.append({"type": "custom_tool_call", "call_id": "c", "name": "x", "input": custom})
        for id, _, _, result in called:
            items.append({"type": "function_call_output", "call_id": id, "output": result})
        if custom:
            items.append({"type": "custom_tool_call_output", "call_id": "c", "output": "done"})
    return [*items, {"role": "user", "content": "and?"}]


_input_parts = st.lists(
    texts.map(lambda text: {"type": "input_text", "text": text})
    | st.just({"type": "input_image", "image_url": URL, "detail": "low"})
    | base64.map(
        lambda d: {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{d}",
            "detail": "auto",
        }
    )
    | st.just({"type": "input_file", "file_url": "https://x.example/a.pdf"})
    | st.builds(
        lambda name, d: {
            "type": "input_file",
            "filename": name,
            "file_data": f"data:application/pdf;base64,{d}",
        },
        names,
        base64,
    ),
    min_size=2,
    max_size=4,
)
_reasoning_item = st.builds(
    lambda id, sealed, text: {
        "type": "reasoning",
        "id": f"rs_{id}",
        "summary": [{"type": "summary_text", "text": text}],
        "encrypted_content": sealed,
    },
    names,
    names,
    texts,
)
_response_tool = st.builds(
    lambda name, schema, strict, more: {
        "type": "function",
        "name": name,
        "parameters": schema,
        "strict": strict,
        **more,
    },
    names,
    schemas,
    st.booleans(),
    optional(description=texts),
) | st.builds(
    lambda name, more: {"type": "custom", "name": name, **more},
    names,
    optional(
        description=texts,
        format=texts.map(lambda d: {"type": "grammar", "syntax": "lark", "definition": d}),
    ),
)


def _included(effort: str | None, top_logprobs: int | None) -> dict[str, Any]:
    """Members that ask for what is in a response on demand only."""
    members: dict[str, Any] = {}
    include = []
    if effort is not None:
        members["reasoning"] = {"effort": effort, "summary": "auto"}
        include.append("reasoning.encrypted_content")
    if top_logprobs is not None:
        members["top_logprobs"] = top_logprobs
        include.append("message.output_text.logprobs")
    return members | ({"include": include} if include else {})


RESPONSES = joined(
    st.builds(
        lambda made: {"input": _items(made), "store": False},
        st.lists(
            st.tuples(
                texts | _input_parts,
                st.lists(_reasoning_item, max_size=1),
                texts,
                st.just([]) | calls(),
                st.none() | texts,
            ),
            max_size=3,
        ),
    ),
    optional(
        model=names,
        instructions=texts,
        max_output_tokens=counts,
        temperature=floats,
        top_p=floats,
        service_tier=st.sampled_from(["auto", "flex"]),
        user=names,
        metadata=st.just({"a": "b"}),
        stream=st.just(True),
        text=joined(
            st.builds(
                lambda name, schema, more: {
                    "format": {"type": "json_schema", "name": name, "schema": schema, **more}
                },
                names,
                schemas,
                optional(description=texts, strict=st.booleans()),
            )
            | st.just({"format": {"type": "json_object"}}),
            optional(verbosity=st.sampled_from(["low", "high"])),
        ),
    ),
    st.builds(_included, st.none() | efforts, st.none() | st.integers(1, 20)),
    st.just({})
    | joined(
        st.builds(lambda tools: {"tools": tools}, st.lists(_response_tool, min_size=1, max_size=3)),
        optional(
            tool_choice=st.sampled_from(["auto", "none", "required"]),
            parallel_tool_calls=st.booleans(),
        ),
    ),
)
