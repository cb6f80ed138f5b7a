"""Real WSGI servers, each a process of its own on a socket that it is handed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = "tests.wsgi.app:application"

# With threads or greenlets one request must not hold up another; `sync` has two processes instead.
GUNICORN: Mapping[str, tuple[str, ...]] = {
    "gunicorn sync": ("--workers", "2"),
    "gunicorn gthread --preload": ("-k", "gthread", "--threads", "4", "--preload"),
    "gunicorn gevent": ("-k", "gevent"),
}


@contextmanager
def gunicorn(options: tuple[str, ...], environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """The port at which gunicorn serves `APP`; at the end it leaves in good order."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number, port = listener.fileno(), listener.getsockname()[1]
        bind = ("--bind", f"fd://{number}", "--no-control-socket", "--error-logfile", str(log))
        command = (sys.executable, "-m", "gunicorn", *options, *bind, APP)
        process = subprocess.Popen(command, cwd=ROOT, env={**environ}, pass_fds=(number,))
    try:
        _until_it_answers(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def _until_it_answers(port: int) -> None:
    """Its socket takes connections before there is a worker, and that may take a while."""
    with socket.create_connection(("127.0.0.1", port), 30) as asking:
        asking.sendall(b"GET / HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n")
        assert asking.recv(1)


@contextmanager
def waitress(options: tuple[str, ...], environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """The same for waitress, which must be asked for its port."""
    code = (
        "import socket, sys, waitress;"
        "from tests.wsgi.app import application;"
        "server = waitress.create_server(application, host='127.0.0.1', port=0);"
        "print(server.effective_port, flush=True);"
        "server.run()"
    )
    with log.open("w") as errors:
        process = subprocess.Popen(
            (sys.executable, "-c", code, *options),
            cwd=ROOT,
            env={**environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(10) == 0


Start = Callable[[tuple[str, ...], Mapping[str, str], Path], "Iterator[int]"]
SERVERS = {
    **{name: (gunicorn, options) for name, options in GUNICORN.items()},
    "waitress": (waitress, ()),
}


def environment(**settings: str) -> dict[str, str]:
    """Nothing of the machine's own, and `settings` as `LLM_MESH_*`."""
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    return own | {f"LLM_MESH_{name.upper()}": value for name, value in settings.items()}
