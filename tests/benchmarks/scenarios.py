"""The scenarios, a table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DOCUMENTED", "IN_PROCESS", "SCENARIOS", "STANDING", "Scenario"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load.

    `kind` is `pass` (not for the mesh), `unary` or `sse`. `has_cpu_budget` is false where a budget
    on CPU would judge something else than what it is for; `has_first_byte_budget` is true where the
    load is light enough for the time to the first byte to mean something, `has_throughput_budget`
    where it is so heavy that answers per second do.
    """

    name: str
    kind: str
    in_flight: int
    think_s: float = 0.0
    body_bytes: int = 1024
    chunks: int = 1
    pace_s: float = 0.0
    is_tls: bool = False
    has_cpu_budget: bool = True
    has_first_byte_budget: bool = False
    has_throughput_budget: bool = False

    @property
    def turns(self) -> int:
        """How often each contender comes in a round.

        The speed of a machine may change within seconds, so what is compared has to be close in
        time. Where requests wait, a turn must be long enough for many of them.
        """
        return 1 if self.think_s or self.pace_s else 8


SCENARIOS = (
    Scenario("pass-16", "pass", 16),
    Scenario("unary-1", "unary", 1, think_s=0.1),
    Scenario("unary-16", "unary", 16, think_s=0.1),
    Scenario("unary-16-nothink", "unary", 16),
    Scenario("unary-32-nothink", "unary", 32),
    Scenario("unary-16-tls", "unary", 16, think_s=0.1, is_tls=True),
    Scenario("unary-16-200k", "unary", 16, think_s=0.1, body_bytes=200_000),
    Scenario("unary-64", "unary", 64, think_s=0.1),
    Scenario("unary-200", "unary", 200, think_s=0.25, has_throughput_budget=True),
    Scenario("unary-1000", "unary", 1000, think_s=0.1),
    Scenario("unary-4000", "unary", 4000, think_s=0.1),
    # Unpaced, so few chunks come in two or three reads: most of it is the request's.
    Scenario("sse-50", "sse", 16, chunks=50, has_cpu_budget=False),
    Scenario("sse-50-tls", "sse", 16, chunks=50, is_tls=True, has_cpu_budget=False),
    Scenario("sse-1000", "sse", 16, chunks=1000),
    Scenario("sse-50-paced", "sse", 64, chunks=50, pace_s=0.01),
    Scenario(
        "sse-first-byte",
        "sse",
        1,
        chunks=10,
        pace_s=0.002,
        has_cpu_budget=False,  # the same
        has_first_byte_budget=True,
    ),
)

# The same as `pass-16` without a server around it; measured by `in_process`.
IN_PROCESS = "pass-in-process"

# What needs no load, or one of its own; measured by `standing` and `dialects`.
STANDING = "standing"

# Those whose figures the documentation tells.
DOCUMENTED = (
    IN_PROCESS,
    STANDING,
    "unary-1",
    "unary-16",
    "unary-32-nothink",
    "unary-16-200k",
    "unary-64",
    "unary-200",
    "unary-1000",
    "sse-1000",
    "sse-50-paced",
    "sse-first-byte",
)
