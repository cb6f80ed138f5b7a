"""Calls to several processes at once, at a steady rate, and how each was answered.

The rate leaves the machine idle for a part of the time. Without it the processes, the clients and
the store would take the processors from each other, and that would be what is measured.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import aiohttp

from tests.scale.meshes import HOST, Mesh

__all__ = ["USERS", "Answers", "call_all"]

# Whose limits differ; as many keys are spread over the nodes of a cluster.
USERS = tuple(f"user-{number}" for number in range(12))
Answers = Counter[tuple[str, int]]  # user and status
_AT_ONCE = 8
_PERIOD_S = 0.08  # of each caller, so that a process gets 100 calls a second
_BODY = {"messages": [{"role": "user", "content": "unary"}], "max_tokens": 100}


async def call_all(meshes: Sequence[Mesh], calls: int) -> Answers:
    """Call each process `calls` times, some at once, one user after the other."""
    answers: Answers = Counter()
    limit = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limit) as session, asyncio.TaskGroup() as group:
        for mesh in meshes:
            numbers = iter(range(calls))
            for _ in range(_AT_ONCE):
                group.create_task(_call(session, mesh, numbers, answers))
    return answers


async def _call(
    session: aiohttp.ClientSession, mesh: Mesh, numbers: Iterator[int], answers: Answers
) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    for number in numbers:
        due = max(due + _PERIOD_S, loop.time())
        user = USERS[number % len(USERS)]
        headers = {"host": HOST, "x-user": user}
        url = f"{mesh.url}/v1/chat/completions"
        async with session.post(url, json=_BODY, headers=headers) as response:
            await response.read()
            answers[user, response.status] += 1
        await asyncio.sleep(due - loop.time())
