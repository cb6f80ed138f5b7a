"""The prices of `LLM_MESH_PRICES`: a file, or the data of the library genai-prices.

Both are read with the configuration. The library is not allowed to update itself over the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ..._core.pricing.prices import NO_PRICES, ModelPrice, Price, PriceList
from ..._process.files import FileVersion, read_bounded, version_of
from ...exceptions import Problem
from .file import parse_prices
from .prices import compile_prices

__all__ = ["PriceBook", "open_price_book"]

_MAX_BYTES = 16 * 2**20
_VARIABLE = "LLM_MESH_PRICES"


class PriceBook(msgspec.Struct, frozen=True):
    """Prices by provider host, and the errors in them.

    `look_up` returns the function that finds a model's price for a provider host, or None.
    `files` has the files that were read, with their versions from before the read.
    """

    entries: Mapping[str, tuple[ModelPrice, ...]] = msgspec.field(default_factory=dict)
    look_up: Callable[[str], Callable[[str], Price | None] | None] = lambda host: None
    problems: tuple[Problem, ...] = ()
    files: Mapping[str, FileVersion] = msgspec.field(default_factory=dict)

    def of(self, host: str, own: tuple[ModelPrice, ...]) -> PriceList:
        """Return the prices of a provider host; its `own` count before those of the book."""
        entries = (*own, *self.entries.get(host, ()))
        more = self.look_up(host)
        if more is None and not entries:
            return NO_PRICES
        return PriceList(entries) if more is None else PriceList(entries, more)


def open_price_book(setting: str) -> PriceBook:
    """Return the book that `LLM_MESH_PRICES` names."""
    if setting == "none":
        return PriceBook()
    return _open_library() if setting == "genai-prices" else _open_file(setting)


def _open_library() -> PriceBook:
    try:
        from .library import look_up  # an extra, and slow to import
    except ImportError:
        message = "genai-prices needs the extra prices: pip install 'llm-mesh-middleware[prices]'"
        return PriceBook(problems=(Problem(_VARIABLE, 0, 0, "", message),))
    return PriceBook(look_up=look_up)


def _open_file(path: str) -> PriceBook:
    files = {path: version_of(path)}
    try:
        text = read_bounded(path, _MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        problem = Problem(_VARIABLE, 0, 0, "", f"cannot read {path}: {reason}")
        return PriceBook(problems=(problem,), files=files)
    parsed = parse_prices(text, source=path)
    problems = list(parsed.problems)
    entries = {}
    for host, prices in parsed.prices.items():

        def complain(index: int, message: str, host: str = host) -> None:
            problems.append(parsed.problem((host, index, "model", "regex"), message))

        entries[host.lower().rstrip(".")] = compile_prices(prices, complain)
    return PriceBook(entries, problems=tuple(problems), files=files)
