"""TensorZero's gateway with one model and no database, as its Python package embeds it.

The package has the gateway's own HTTP server, in Rust, which chooses its port. It sets model and
key, and reads the tokens; observability would need a database, and is off.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from urllib.parse import urlsplit

from tests.benchmarks.wire import KEY, MODEL, PATH, Origin

__all__ = ["Gateway", "make"]

_VARIABLE = "BENCHMARK_PROVIDER_KEY"


class Gateway:
    """A gateway that listens at `port`."""

    def __init__(self, configuration: str) -> None:
        import tensorzero  # type: ignore[import-not-found]  # of the interpreter it is installed for

        self._gateway = tensorzero._start_http_gateway(
            config_file=configuration,
            clickhouse_url=None,
            postgres_url=None,
            valkey_url=None,
            async_setup=False,
        )
        self.port = urlsplit(self._gateway.base_url).port

    def __call__(self, port: int) -> None:
        """Let it serve until the process ends."""
        threading.Event().wait()


def make(origin: Origin) -> Gateway:
    """Start the gateway; what it logs is not read."""
    os.environ[_VARIABLE] = KEY
    if origin.ca_file is not None:
        os.environ["SSL_CERT_FILE"] = origin.ca_file
    tables = {
        "gateway": {
            "observability": {"enabled": False},
            "disable_pseudonymous_usage_analytics": True,
        },
        f"models.{MODEL}": {"routing": ["provider"]},
        f"models.{MODEL}.providers.provider": {
            "type": "openai",
            "model_name": MODEL,
            "api_base": origin.url + PATH.removesuffix("/chat/completions"),
            "api_key_location": f"env::{_VARIABLE}",
        },
    }
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
        file.writelines(_table(name, members) for name, members in tables.items())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return Gateway(file.name)


def _table(name: str, members: dict[str, object]) -> str:
    lines = [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in members.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value of TOML; but for tables, they are those of JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)
