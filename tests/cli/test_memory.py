"""What clients and providers can make `llm-mesh serve` keep in memory, as its system counts it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import Stream
from tests.adapters.wire import QUESTION, STREAMED_CHAT, Client, request_bytes
from tests.cli.conftest import Sidecar
from tests.conftest import DASHSCOPE

pytestmark = pytest.mark.slow

KIB, MIB = 2**10, 2**20
# Less than any attack sends, but for the last, in which it is all that the limits allow.
BOUND = 24 * MIB


def peak_bytes(pid: int) -> int:
    """The most memory that a process has ever had."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("the system has no /proc")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) * KIB


def ask(sidecar: Sidecar, data: bytes) -> int:
    with Client(sidecar.port) as client:
        return client.ask(data).status


def models(sidecar: Sidecar) -> None:
    for number in range(40):
        body = json.dumps({**QUESTION, "model": f"{number}" + "x" * MIB}).encode()
        assert ask(sidecar, request_bytes(DASHSCOPE, body)) == 200


def hosts(sidecar: Sidecar) -> None:
    for number in range(600):
        host = f"{number}." + "x" * 60 * KIB
        assert ask(sidecar, request_bytes(host)) in (400, 404)


def names_of_fields(sidecar: Sidecar) -> None:
    for number in range(600):
        field = f"openai-{number}-" + "x" * 60 * KIB + ": 1"
        ask(sidecar, request_bytes(DASHSCOPE, b"{}", field))


def reasons_and_indexes_of_a_provider(sidecar: Sidecar) -> None:
    def event(number: int) -> bytes:
        reason = f"{number}" + "x" * MIB
        choice = {"index": number, "delta": {"content": ""}, "finish_reason": reason}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    sidecar.providers.dashscope.always(Stream([*map(event, range(40)), b"data: [DONE]\n\n"]))
    body = json.dumps({**json.loads(STREAMED_CHAT), "n": 2}).encode()
    assert ask(sidecar, request_bytes(DASHSCOPE, body)) == 200
    sidecar.providers.dashscope.clear()


def a_head_without_an_end(sidecar: Sidecar) -> None:
    for start in (b"GET / HTTP/1.1\r\nhost: ", b"GET /", b"POST / HTTP/1.1\r\nhost: a\r\nx: "):
        with socket.create_connection(("127.0.0.1", sidecar.port), 5) as sock:
            sock.sendall(start)
            with contextlib.suppress(OSError):  # it is closed long before
                for _ in range(120):
                    sock.sendall(b"x" * MIB)


def many_heads_half_sent(sidecar: Sidecar) -> None:
    """Each open connection may hold a head below the limit, 64 KiB."""
    with ExitStack() as stack:
        for _ in range(300):
            sock = socket.create_connection(("127.0.0.1", sidecar.port), 5)
            stack.enter_context(sock)
            sock.sendall(b"POST / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 60 * KIB)
        assert ask(sidecar, request_bytes(DASHSCOPE)) == 200


ATTACKS = [
    models,
    hosts,
    names_of_fields,
    reasons_and_indexes_of_a_provider,
    a_head_without_an_end,
    many_heads_half_sent,
]


def test_nothing_that_is_sent_makes_the_process_grow(own_sidecar: Sidecar) -> None:
    def grown_by(attack: Callable[[Sidecar], None]) -> int:
        before = peak_bytes(own_sidecar.process.pid)
        attack(own_sidecar)
        return peak_bytes(own_sidecar.process.pid) - before

    assert ask(own_sidecar, request_bytes(DASHSCOPE)) == 200
    grown = {attack.__name__: grown_by(attack) // MIB for attack in ATTACKS}
    assert {name: size for name, size in grown.items() if size > BOUND // MIB} == {}
