"""The server under test, a process of its own with one worker and one contender."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from importlib import import_module
from typing import Any

from tests.benchmarks.child import (
    allow_many_files,
    answer_parent,
    cpu_seconds,
    keep_line,
    memory_mb,
    pin,
    probe_ms,
    report,
)
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.wire import Origin

__all__ = ["main", "make_app"]


def make_app(name: str, origin: Origin, **options: str) -> Any:
    """The application of a contender; nothing but what it needs is imported."""
    contender = CONTENDERS[name]
    module, _, factory = contender.app.partition(":")
    return getattr(import_module(module), factory)(origin, **contender.options, **options)


def _serve_asgi(app: Any, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        http="auto",
        loop="auto",  # uvloop, where it is installed, as for `llm-mesh serve`
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=600,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _serve_wsgi(app: Any, listener: socket.socket) -> None:
    import waitress

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every request
    waitress.serve(app, sockets=[listener], threads=64, channel_timeout=600, _quiet=True)


def _serve_itself(run: Any, listener: socket.socket) -> None:
    """Let a contender that is a server itself listen at the port that was promised."""
    port = listener.getsockname()[1]
    listener.close()
    run(port)


_SERVERS = {
    "uvicorn": _serve_asgi,
    "waitress": _serve_wsgi,
    "itself": _serve_itself,
    "program": _serve_itself,
    "library": _serve_itself,
}


def main() -> None:
    """`python -m tests.benchmarks.server NAME ORIGIN [PROGRAM]`, the origin as JSON."""
    keep_line()
    pin("server")
    allow_many_files()
    name, origin = sys.argv[1], Origin(**json.loads(sys.argv[2]))
    program = {"program": sys.argv[3]} if len(sys.argv) > 3 else {}
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP, as `create_server` does not.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    if CONTENDERS[name].server in ("uvicorn", "waitress"):  # the others listen later
        listener.listen(2048)
    app = make_app(name, origin, **program)
    # The run is over, and nothing waits for this process to tidy up.
    is_program = CONTENDERS[name].server == "program"

    def answer(line: str) -> dict[str, object]:
        if line == "probe":
            return {"probe_ms": probe_ms()}
        pid = app.pid if is_program else None
        return {"cpu_s": cpu_seconds(pid), "memory_mb": memory_mb(pid)}

    def end() -> None:
        if is_program:
            app.end()
        os._exit(0)

    answer_parent(answer, at_end=end)
    # A library that serves itself may have chosen its port.
    port = app.port if CONTENDERS[name].server == "library" else listener.getsockname()[1]
    report(port=port, headers=app.headers if is_program else {})
    _SERVERS[CONTENDERS[name].server](app, listener)


if __name__ == "__main__":
    main()
