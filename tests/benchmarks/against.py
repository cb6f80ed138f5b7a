"""What a call costs in this checkout and in another one, such as an earlier edition, in one run.

Run as `python -m tests.benchmarks.against PATH`: a unary call, a chunk of a fast stream, an event
that comes alone and a call through WSGI. Both checkouts have a server of their own, with the app,
the load and the provider of this one. Their rounds take turns and pairs of them make a ratio, so
that what disturbs one round disturbs the other. CPU time is compared, which a busy machine changes
less than time on the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.child import pin
from tests.benchmarks.load import Load, run_load
from tests.benchmarks.processes import Child
from tests.benchmarks.wire import ASKED_MODEL, Origin, chat_request, stream_answer, unary_answer
from tests.processes import ROOT

__all__ = ["KINDS", "Cost", "Kind", "check_checkout", "compare", "main"]

PACKAGE = "llm_mesh_middleware"
IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call; a cost is for one of `chunks`, where there are any."""

    name: str
    contender: str
    requests: int
    chunks: int = 0
    pace_s: float = 0.0

    def load(self, port: int, requests: int) -> Load:
        """Return the load of one round."""
        is_stream = self.chunks > 0
        request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=is_stream)
        answer = stream_answer(self.chunks) if is_stream else unary_answer()
        return Load(port, request, answer, IN_FLIGHT, 0.0, requests)


KINDS = (
    Kind("unary", "mesh", requests=1600),
    Kind("stream chunk", "mesh", requests=64, chunks=1000),
    Kind("paced event", "mesh", requests=64, chunks=50, pace_s=0.01),
    Kind("WSGI", "mesh-wsgi", requests=800),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of call costs: the medians of both checkouts, and each pair's ratio."""

    name: str
    own_us: float
    other_us: float
    ratios: tuple[float, ...]
    errors: int

    def __str__(self) -> str:
        """Return a line of the table."""
        low, high = _quartiles(self.ratios)
        return (
            f"{self.name:<14}{self.own_us:>10.2f}{self.other_us:>10.2f}"
            f"{median(self.ratios):>9.3f}   {low:.3f} to {high:.3f}"
        )


def compare(
    other: Path, kinds: Sequence[Kind] = KINDS, *, rounds: int, share: float = 1.0
) -> Iterator[Cost]:
    """Yield the cost of each kind of call.

    Args:
        other: the other checkout.
        kinds: what is measured.
        rounds: how many pairs of rounds.
        share: how much of the usual load makes a round.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(Child("upstream", str(folder / "ca.pem")))
        origin = Origin(f"http://127.0.0.1:{upstream.facts['ports']['http']}")
        for kind in kinds:
            chunks, pace_s = kind.chunks or 1, kind.pace_s
            upstream.ask(json.dumps({"think_s": 0.0, "chunks": chunks, "pace_s": pace_s}))
            servers = [
                stack.enter_context(_server(kind, origin, tree, folder)) for tree in (ROOT, other)
            ]
            requests = max(IN_FLIGHT, round(kind.requests * share))
            yield _measured(kind, servers, rounds=rounds, requests=requests)


def check_checkout(tree: Path) -> Path:
    """Return the folder of a checkout, or end the program."""
    if not (tree / PACKAGE / "__init__.py").is_file():
        raise SystemExit(f"{tree} is not a checkout: it has no {PACKAGE}")
    return tree


def _server(kind: Kind, origin: Origin, tree: Path, folder: Path) -> Child:
    """Start a server on the package of one checkout; all else is of this one."""
    home = Path(tempfile.mkdtemp(dir=folder))
    (home / PACKAGE).symlink_to((tree / PACKAGE).resolve())
    return Child("server", kind.contender, json.dumps(asdict(origin)), home=home)


def _measured(kind: Kind, servers: Sequence[Child], *, rounds: int, requests: int) -> Cost:
    spent: tuple[list[float], list[float]] = ([], [])
    errors = 0
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            load = kind.load(servers[which].facts["port"], requests)
            seen = asyncio.run(run_load(load, servers[which].read_cpu_s))
            errors += seen.errors
            spent[which].append(1e6 * seen.cpu_s / max(1, seen.requests) / (kind.chunks or 1))
    own, other = spent
    ratios = tuple(a / b if b else 0.0 for a, b in zip(own, other, strict=True))
    return Cost(kind.name, median(own), median(other), ratios, errors)


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; 1 if a call failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.against", description=__doc__)
    parser.add_argument("other", type=Path, metavar="PATH", help="the other checkout")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of rounds (default 15)")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual load (default 1)")
    parser.add_argument("--only", choices=[kind.name for kind in KINDS], action="append")
    options = parser.parse_args(arguments)
    pin("load")
    kinds = [kind for kind in KINDS if options.only is None or kind.name in options.only]
    sys.stdout.write(f"{'CPU µs':<14}{'this':>10}{'other':>10}{'ratio':>9}   half of the pairs\n")
    errors = 0
    for cost in compare(
        check_checkout(options.other), kinds, rounds=options.rounds, share=options.share
    ):
        sys.stdout.write(f"{cost}\n")
        sys.stdout.flush()
        errors += cost.errors
    sys.stdout.write(f"{errors} errors\n")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
