"""The keywords of the adapters."""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware


@pytest.mark.parametrize("adapter", [LLMMeshMiddleware, LLMMeshWSGIMiddleware])
def test_an_option_that_does_not_exist_is_an_error(adapter: Any) -> None:
    with pytest.raises(TypeError, match="unexpected option 'authorise'; expected one of: att"):
        adapter(None, authorise=lambda scope: True)
