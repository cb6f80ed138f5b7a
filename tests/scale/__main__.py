"""`python -m tests.scale`: processes that share a three-node cluster, all on this machine.

It shows three things. A call costs each process the same however many there are, and the store a
script before it and at most one after it. Without a limit the store is not asked at all. A limit
admits exactly what it says, whichever processes are asked.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.policies.servers import server_program
from tests.scale.runs import run_limits, run_processes

__all__ = ["main"]

_COUNTS = (1, 2, 4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 if a limit was not exact or the store was asked too often."""
    options = _options(arguments)
    if server_program() is None:
        print("there is no redis-server or valkey-server here")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        figures = [
            each
            for is_limited in (False, True)
            for each in run_processes(_COUNTS, options.calls, Path(folder), is_limited=is_limited)
        ]
        limits = run_limits(_COUNTS[-1], Path(folder))
    print("processes  limit   calls/s  CPU ms a call  of one process  scripts a call, by node")
    for each in figures:
        first = next(one for one in figures if one.is_limited == each.is_limited)
        nodes = "  ".join(f"{scripts / each.calls:.2f}" for scripts in each.scripts)
        print(
            f"{each.processes:9}  {'shared' if each.is_limited else 'none':6}  {each.rate:7.0f}"
            f"  {each.cpu_ms:13.2f}  {each.cpu_ms / first.cpu_ms:14.2f}  {nodes}"
        )
    print(f"a limit of {limits.limit} for each of {len(limits.admitted)} users, at 4 processes:")
    print(f"  admitted {sorted(set(limits.admitted.values()))}, refused {limits.refused}")
    if options.json:
        options.json.write_text(
            json.dumps([each.as_dict() for each in figures], indent=2) + "\n", "utf-8"
        )
    is_rare = all(sum(each.scripts) <= 2 * each.calls for each in figures)
    is_unasked = not any(sum(each.scripts) for each in figures if not each.is_limited)
    return 0 if limits.is_exact and is_rare and is_unasked else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="calls to each process")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
