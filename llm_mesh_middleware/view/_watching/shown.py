"""Texts of clients and providers as the view may show them: short, printable, without secrets.

Model names, consumers and header values are chosen by others. A client may send a key as its model,
and a provider may repeat one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..._core.explaining.redaction import MASK, Mask, is_credential, known_secrets
from ..._core.routing.table import RoutingTable, VirtualHost
from ..._core.values.messages import ClientRequest
from ..._core.values.subject import SUBJECTS

__all__ = ["Shown"]

_MAX_READ = 4096
_MAX_SHOWN = 64
_MAX_FACTS = 16
_MAX_CACHED = 1024
# Subjects that have their own field in the record of a call.
_OWN_FIELDS = frozenset(("model", "method", "path"))

Subject = tuple[str, str, bool, Callable[[ClientRequest, str], str | None]]


class Shown:
    """Masks texts by the secrets of one routing table; the next table has another one."""

    def __init__(self, table: RoutingTable, keys: Collection[str]) -> None:
        """`keys` are secret too: those of clients."""
        self.table = table
        self._secrets = frozenset((*known_secrets(table), *keys))
        self._mask = Mask(self._secrets)
        self._texts: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._subjects = {host.name: _subjects(host) for host in table.hosts}

    def text(self, text: str) -> str:
        """Return `text` without secrets, shortened, with unprintable characters escaped."""
        try:
            return self._texts[text]
        except KeyError:
            return _remember(self._texts, text, self._made(text))

    def value(self, value: str) -> str:
        """Return a header or attribute; a value that is exactly a key is masked, however short."""
        try:
            return self._values[value]
        except KeyError:
            shown = self._made(value)
            shown = MASK if shown.strip() in self._secrets else shown
            return _remember(self._values, value, shown)

    def facts(self, request: ClientRequest) -> tuple[tuple[str, str, str], ...]:
        """Return the headers and attributes that the rules of the request's host look at."""
        found = []
        for kind, name, is_secret, read in self._subjects.get(request.host, ()):
            value = read(request, name)
            if value is not None:
                found.append((kind, name, MASK if is_secret else self.value(value)))
        return tuple(found)

    def counted_by(self, values: tuple[str | None, ...], request: ClientRequest) -> tuple[str, ...]:
        """Return the values that a limit counts a request by; possible credentials are masked."""
        hidden = {
            value.decode("latin-1").strip()
            for name, value in request.headers
            if is_credential(name.decode("latin-1"))
        }
        return tuple(
            "–" if value is None else MASK if value in hidden else self.value(value)
            for value in values
        )

    def _made(self, text: str) -> str:
        # Mask before cutting: a piece of a key is a secret too.
        masked = self._mask.text(text[:_MAX_READ])[:_MAX_SHOWN]
        return masked if masked.isprintable() else repr(masked)[1:-1][:_MAX_SHOWN]


def _remember(cache: dict[str, str], text: str, shown: str) -> str:
    if len(text) <= _MAX_SHOWN:
        if len(cache) >= _MAX_CACHED:
            cache.clear()
        cache[text] = shown
    return shown


def _subjects(host: VirtualHost) -> tuple[Subject, ...]:
    """Return each condition's subject, whether it may hold a credential, and what reads it."""
    found = {
        (each.kind, each.key, is_credential(each.key), SUBJECTS[each.kind]): None
        for rule in host.rules
        for match in rule.matches
        for each in match.conditions
        if each.kind not in _OWN_FIELDS
    }
    return tuple(found)[:_MAX_FACTS]
