"""A request that goes into the neutral form and back is the same request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mesh_middleware._core.conversation.writing import DialectOptions
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields, encode_fields, raw
from tests.round_trips.requests import REQUESTS
from tests.translation.dialect_table import DIALECTS

OPTIONS = DialectOptions(sends_reasoning=True)


@pytest.mark.parametrize("name", REQUESTS)
@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_nothing_is_lost(name: str, data: st.DataObject) -> None:
    asked: dict[str, Any] = data.draw(REQUESTS[name])
    side = DIALECTS[name].side
    fields = decode_fields(json.dumps(asked).encode())
    request = ClientRequest("POST", "/", Headers(()), fields=fields)
    conversation = side.read_request(request)
    written = side.write_request(
        conversation, OPTIONS, model=asked.get("model"), streams=conversation.stream
    )
    assert written.dropped == ()
    members = {name: raw(value) for name, value in written.members.items()}
    assert json.loads(encode_fields(members)) == asked
