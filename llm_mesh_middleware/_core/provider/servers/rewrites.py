"""The names of models at the servers of a pool, drawn by weight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping

import msgspec

__all__ = ["ModelRewrites", "ModelShares"]


class ModelShares(msgspec.Struct, frozen=True):
    """Models and the cumulative sums of their weights."""

    names: tuple[str, ...]
    bounds: tuple[int, ...]

    def draw(self, random: Callable[[], float]) -> str:
        """Return one of them, by weight."""
        if len(self.names) == 1:
            return self.names[0]
        return self.names[bisect_right(self.bounds, random() * self.bounds[-1])]


class ModelRewrites(msgspec.Struct, frozen=True):
    """The rewritten names: `exact` by the requested model, `others` for the rest.

    A name without an entry is unchanged if `others` is None.
    """

    exact: Mapping[str, ModelShares] = msgspec.field(default_factory=dict)
    others: ModelShares | None = None

    def __iter__(self) -> Iterator[str]:
        """Iterate over all names, those of clients first."""
        yield from self.exact
        for shares in (*self.exact.values(), self.others):
            yield from () if shares is None else shares.names

    def draw(self, requested: str | None, random: Callable[[], float]) -> str | None:
        """Return the rewritten name of a model, or None if it is unchanged.

        Args:
            asked: the model that the request names.
            random: returns numbers in [0, 1).
        """
        shares = self.exact.get(requested or "", self.others)
        return None if shares is None else shares.draw(random)
