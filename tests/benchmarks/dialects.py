"""What a translation costs: a whole call, and an event of a stream, for each pair of dialects.

    python -m tests.benchmarks.dialects [--rounds 200]

The time is that of our own code on the processor, without a socket: the client's request read and
written for the provider, and its answer of about 0.3 KB read and written for the client; or an
event of a stream of 500 deltas of text. Each figure is the least of several runs, as other work of
the machine only adds to it. The budgets are those of a machine at its full speed: what the probe
takes meanwhile tells how far this one is from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import thread_time

import click

from llm_mesh_middleware._core.conversation.answer import (
    End,
    Finish,
    Start,
    TextDelta,
    Usage,
)
from llm_mesh_middleware._core.conversation.writing import DialectOptions, Stamp
from llm_mesh_middleware._core.values.payload import encode_fields, raw
from tests.benchmarks.child import probe_ms
from tests.benchmarks.report import verdict
from tests.benchmarks.results import Budget
from tests.translation.dialect_table import DIALECTS, PAIRS, relay
from tests.translation.spoken.rows import Part

UNARY_US, EVENT_US = 60, 12

_STAMP = Stamp(1, "token", "m")
_OPTIONS = DialectOptions()
_RUNS = 7
_DELTAS = 500
_WORDS = "The answer to life, the universe and everything. "
_CALLS = (("call_1", "look", {"city": "Basel", "days": 3}),)
_PART = Part(_WORDS * 3, calls=_CALLS, finish="tool_calls")


def least(work: Callable[[], object], rounds: int) -> float:
    """Return the seconds that `work` takes."""
    found = []
    for _ in range(_RUNS):
        begin = thread_time()
        for _ in range(rounds):
            work()
        found.append((thread_time() - begin) / rounds)
    return min(found)


def unary_s(client: str, provider: str, rounds: int) -> float:
    """Return what a request and its answer cost."""
    speaks, spoken = DIALECTS[client], DIALECTS[provider]
    body = encode_fields(spoken.provider.write(_PART))
    request = speaks.request

    def call() -> None:
        conversation = speaks.side.read_request(request)
        written = spoken.side.write_request(conversation, _OPTIONS, model="m", streams=False)
        encode_fields({name: raw(value) for name, value in written.members.items()})
        answer = spoken.side.read_answer(body, _STAMP)
        speaks.side.write_answer(answer, conversation, _STAMP)

    return least(call, rounds)


def long_stream(provider: str) -> list[bytes]:
    """Return a stream of 500 deltas of text, as the provider sends it."""
    spoken = DIALECTS[provider]
    if spoken.more:
        return [spoken.stream[0], *[spoken.more] * _DELTAS, *spoken.stream[-spoken.last :]]
    writer = spoken.side.event_writer(spoken.side.read_request(spoken.request), _STAMP)
    deltas = [Start("id", "m"), *[TextDelta("word ")] * _DELTAS, Finish("stop"), Usage(1, 1), End()]
    return [writer.write([delta]) for delta in deltas]


def event_s(client: str, provider: str, rounds: int) -> float:
    """Return what an event of a stream costs, its begin and its end among them."""
    events = long_stream(provider)

    def stream() -> None:
        one = relay(client, provider)
        for event in events:
            one.feed(event)
        one.finish()

    return least(stream, max(1, rounds // len(events))) / len(events)


def main() -> int:
    """Print a table; return 1 if a figure is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    over = []
    click.echo(f"{'client':<10} {'provider':<10} {'call us':>8} {'event us':>9} {'probe ms':>9}")
    for client, provider in PAIRS:
        event = event_s(client, provider, rounds) * 1e6
        unary = unary_s(client, provider, rounds) * 1e6
        probe = probe_ms()
        click.echo(f"{client:<10} {provider:<10} {unary:>8.1f} {event:>9.1f} {probe:>9.1f}")
        pair = f"from {client} to {provider}"
        budgets = (
            Budget(f"a call {pair}", unary, UNARY_US, "µs", probe),
            Budget(f"an event {pair}", event, EVENT_US, "µs", probe),
        )
        over += [budget for budget in budgets if not budget.is_met]
    click.echo(f"budget at full speed: {UNARY_US} us a call, {EVENT_US} us an event")
    for budget in over:
        click.echo(verdict(budget))
    return int(bool(over))


if __name__ == "__main__":
    raise SystemExit(main())
