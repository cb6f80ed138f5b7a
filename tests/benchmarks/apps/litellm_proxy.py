"""LiteLLM's proxy with one model and no database; runs on the interpreter it is installed for."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from tests.benchmarks.wire import ASKED_MODEL, CLIENT_KEY, KEY, MODEL, PATH, Origin

__all__ = ["make"]


def make(origin: Origin) -> Any:
    """The proxy's own application, told by a file and by its environment."""
    model = {
        "model": f"openai/{MODEL}",
        "api_base": origin.url + PATH.removesuffix("/chat/completions"),
        "api_key": KEY,
    }
    config = {"model_list": [{"model_name": ASKED_MODEL, "litellm_params": model}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        json.dump(config, file)  # which is YAML
    os.environ["CONFIG_FILE_PATH"] = file.name
    os.environ["LITELLM_MASTER_KEY"] = CLIENT_KEY  # without one it refuses to start
    if origin.ca_file is not None:
        os.environ["SSL_CERT_FILE"] = origin.ca_file
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # prices are not looked up on the net
    from litellm.proxy.proxy_server import app

    return app
