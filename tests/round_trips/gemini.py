"""`generateContent` requests, as their writer has them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.round_trips.values import (
    URL,
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

__all__ = ["GEMINI"]


def _contents(made: list[tuple[Any, Any, str, list[Any], bool, str]]) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    for asked, thought, said, called, failed, signature in made:
        contents.append({"role": "user", "parts": asked})
        parts = [*thought, {"text": said}]
        for number, (_, name, args, _) in enumerate(called):
            sealed = {} if number else {"thoughtSignature": signature}
            parts.append({"functionCall": {"name": f"{name}{number}", "args": args}} | sealed)
        contents.append({"role": "model", "parts": parts})
        results = [
            {
                "functionResponse": {
                    "name": f"{name}{number}",
                    "response": {"error" if failed else "output": result},
                }
            }
            for number, (_, name, _, result) in enumerate(called)
        ]
        if results:
            contents.append({"role": "user", "parts": results})
    return [*contents, {"role": "user", "parts": [{"text": "and?"}]}]


_gemini_parts = st.lists(
    texts.map(lambda text: {"text": text})
    | base64.map(lambda d: {"inlineData": {"mimeType": "image/png", "data": d}})
    | base64.map(lambda d: {"inlineData": {"mimeType": "audio/wav", "data": d}})
    | base64.map(lambda d: {"inlineData": {"mimeType": "application/pdf", "data": d}})
    | st.just({"fileData": {"fileUri": URL, "mimeType": "image/png"}}),
    min_size=1,
    max_size=3,
)
_thought = st.builds(
    lambda text: {"text": text, "thought": True, "thoughtSignature": "c2ln"}, texts
)
_declaration = st.builds(
    lambda name, schema, more: {"name": name, "parametersJsonSchema": schema, **more},
    names,
    schemas,
    optional(description=texts),
)
GEMINI = joined(
    st.builds(
        lambda made: {"contents": _contents(made)},
        st.lists(
            st.tuples(
                _gemini_parts,
                st.lists(_thought, max_size=1),
                texts,
                st.just([]) | calls(),
                st.booleans(),
                st.just("c2lnbmVk"),
            ),
            max_size=3,
        ),
    ),
    optional(
        systemInstruction=st.lists(
            texts.map(lambda text: {"text": text}), min_size=1, max_size=2
        ).map(lambda parts: {"parts": parts}),
        serviceTier=st.sampled_from(["standard", "flex", "priority"]),
        generationConfig=joined(
            optional(
                maxOutputTokens=counts,
                temperature=floats,
                topP=floats,
                topK=counts,
                stopSequences=st.lists(texts, min_size=1, max_size=5),
                seed=counts,
                frequencyPenalty=floats,
                presencePenalty=floats,
                candidateCount=st.integers(2, 4),
                thinkingConfig=st.builds(
                    lambda shows, budget: {"includeThoughts": shows, "thinkingBudget": budget},
                    st.booleans(),
                    counts,
                ),
            ),
            st.just({})
            | st.just({"responseLogprobs": True})
            | st.integers(1, 20).map(lambda count: {"responseLogprobs": True, "logprobs": count}),
            st.just({})
            | st.just({"responseMimeType": "application/json"})
            | schemas.map(
                lambda s: {"responseMimeType": "application/json", "responseJsonSchema": s}
            ),
        ).filter(bool),
    ),
    st.just({})
    | joined(
        st.builds(
            lambda declared: {"tools": [{"functionDeclarations": declared}]},
            st.lists(_declaration, min_size=1, max_size=3),
        ),
        st.just({})
        | st.builds(
            lambda calling: {"toolConfig": {"functionCallingConfig": calling}},
            st.sampled_from([{"mode": "AUTO"}, {"mode": "ANY"}, {"mode": "NONE"}])
            | names.map(lambda n: {"mode": "ANY", "allowedFunctionNames": [n]})
            | names.map(lambda n: {"mode": "VALIDATED", "allowedFunctionNames": [n]}),
        ),
    ),
)
