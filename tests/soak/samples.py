"""What a process and its children hold, as Linux tells it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["Sample", "is_flat", "look"]

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
# A sample in the midst of a collection, or a burst of callers, is not a leak.
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a run; memory in MiB, rates since the sample before."""

    at_s: float
    calls: int
    calls_per_s: float
    rss_mib: float
    files: int
    threads: int
    tasks: int
    errors: int


def look(
    pid: int, tasks: Path, at_s: float, calls: int, errors: int, before: Sample | None
) -> Sample:
    """The process, all its children added."""
    rss = files = threads = 0.0
    for each in _family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            folder = Path(f"/proc/{each}")
            rss += int((folder / "statm").read_text().split()[1]) * _PAGE_MIB
            files += len(list((folder / "fd").iterdir()))
            threads += len(list((folder / "task").iterdir()))
    text = tasks.read_text() if tasks.exists() else ""
    since_s, since_calls = (before.at_s, before.calls) if before else (0.0, 0)
    rate = (calls - since_calls) / max(at_s - since_s, 1e-6)
    counted = int(text) if text else 0
    return Sample(at_s, calls, rate, rss, int(files), int(threads), counted, errors)


def is_flat(samples: Sequence[Sample]) -> tuple[bool, float]:
    """Whether memory stayed within 5 % of its median, and how far from it it got."""
    middle = median(sample.rss_mib for sample in samples)
    furthest = max(abs(sample.rss_mib - middle) for sample in samples) / middle
    return furthest <= TOLERANCE, furthest


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))
