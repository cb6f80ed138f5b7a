"""What only the mesh asks a provider for can be left out again."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._core.dialect import Transformer, WholeAnswer
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects.registry import OperationFinder
from tests.core.tables import ACME, provider, request, table, upstream_of
from tests.rows import rows

REFUSAL = b'{"error":{"message":"Unrecognized request argument supplied: stream_options"}}'


def transformer_of(body: str, *, path: str = "/v1/chat/completions") -> Transformer:
    operation = OperationFinder().find(path)
    assert operation is not None
    upstream = upstream_of(table(provider(openai="{model: m}")), ACME)
    asked = replace(request(path=path), fields=decode_fields(body.encode()))
    return upstream.transformer(asked, operation)


def sent(transformer: Transformer) -> dict[str, object]:
    return dict(json.loads(transformer.body()))


@rows("options", ["", ', "stream_options": {"include_obfuscation": false}'])
@rows("path", ["/v1/chat/completions", "/v1/completions"])
def test_token_counts_that_only_the_mesh_asked_for_are_left_out(options: str, path: str) -> None:
    asked = f'{{"stream": true{options}}}'
    transformer = transformer_of(asked, path=path)
    assert "include_usage" in str(sent(transformer))
    assert transformer.added_usage
    transformer.drop_additions()
    assert sent(transformer) == {**json.loads(asked), "model": "m"}
    assert not transformer.added_usage


def test_token_counts_that_the_client_asked_for_stay() -> None:
    transformer = transformer_of('{"stream": true, "stream_options": {"include_usage": true}}')
    transformer.drop_additions()
    assert sent(transformer)["stream_options"] == {"include_usage": True}


@rows(
    ("status", "body", "is_refusal"),
    [
        (400, REFUSAL, True),
        (422, REFUSAL, True),
        (400, b'{"detail":[{"loc":["body","stream_options","include_usage"]}]}', True),
        (400, b'{"error":{"message":"no such model"}}', False),
        (429, REFUSAL, False),
        (500, REFUSAL, False),
    ],
)
def test_a_refusal_of_what_was_added_is_recognised(
    status: int, body: bytes, is_refusal: bool
) -> None:
    transformer = transformer_of('{"stream": true}')
    transformer.body()
    answer = WholeAnswer(status, [], body)
    assert transformer.rejects_additions(answer) is is_refusal
    transformer.drop_additions()
    transformer.body()
    assert not transformer.rejects_additions(answer)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/embeddings"])
def test_other_dialects_add_nothing(path: str) -> None:
    transformer = transformer_of('{"stream": true}', path=path)
    transformer.body()
    assert not transformer.added_usage
    assert not transformer.rejects_additions(WholeAnswer(400, [], REFUSAL))
