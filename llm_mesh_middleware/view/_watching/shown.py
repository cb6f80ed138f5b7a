"""Texts of clients and providers as the view may show them: short, printable, without secrets.

Model names, consumers and header values are chosen by others. A client may send a key as its model,
and a provider may repeat one.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..._core.explaining.redaction import MASK, Mask, is_credential, known_secrets
from ..._core.routing.table import RoutingTable, VirtualHost
from ..._core.values.messages import ClientRequest
from ..._core.values.subject import read_subject
from ...mesh import Mesh

__all__ = ["Shown"]

_MAX_READ = 4096
_MAX_SHOWN = 64
_MAX_FACTS = 16
_MAX_CACHED = 1024
# Subjects that have their own field in the record of a call.
_OWN_FIELDS = frozenset(("model", "method", "path"))


class Shown:
    """Masks texts by the secrets of the configuration that `mesh` uses now."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._table: RoutingTable | None = None
        self._mask = Mask(())
        self._texts: dict[str, str] = {}
        self._secrets: frozenset[str] = frozenset()
        self._subjects: Mapping[str, tuple[tuple[str, str, bool], ...]] = {}

    def text(self, text: str) -> str:
        """Return `text` without secrets, shortened, with unprintable characters escaped."""
        known = self._texts.get(text)
        if known is not None and self._mesh._live.table is self._table:
            return known
        # Mask before cutting: a piece of a key is a secret too.
        masked = self._newest_mask().text(text[:_MAX_READ])[:_MAX_SHOWN]
        shown = masked if masked.isprintable() else repr(masked)[1:-1][:_MAX_SHOWN]
        if len(text) <= _MAX_SHOWN:
            if len(self._texts) >= _MAX_CACHED:
                self._texts.clear()
            self._texts[text] = shown
        return shown

    def facts(self, request: ClientRequest) -> tuple[tuple[str, str, str], ...]:
        """Return the headers and attributes that the rules of the request's host look at."""
        self._newest_mask()
        found = []
        for kind, name, is_secret in self._subjects.get(request.host, ()):
            value = read_subject(kind, name, request)
            if value is not None:
                found.append((kind, name, MASK if is_secret else self._fact(value)))
        return tuple(found)

    def counted_by(self, values: tuple[str | None, ...], request: ClientRequest) -> tuple[str, ...]:
        """Return the values that a limit counts a request by; possible credentials are masked."""
        hidden = {
            value.decode("latin-1").strip()
            for name, value in request.headers
            if is_credential(name.decode("latin-1"))
        }
        return tuple(
            "–" if value is None else MASK if value in hidden else self._fact(value)
            for value in values
        )

    def _fact(self, value: str) -> str:
        """Return a header or attribute; a value that is exactly a key is masked, however short."""
        shown = self.text(value)
        return MASK if shown.strip() in self._secrets else shown

    def _newest_mask(self) -> Mask:
        table = self._mesh._live.table
        if table is not self._table:
            keys = self._mesh.settings.client_keys.values()
            secrets = (*known_secrets(table), *(key.get_secret_value() for key in keys))
            self._mask, self._texts = Mask(secrets), {}
            self._secrets = frozenset(secrets)
            self._subjects = {host.name: _subjects(host) for host in table.hosts}
            self._table = table
        return self._mask


def _subjects(host: VirtualHost) -> tuple[tuple[str, str, bool], ...]:
    """Return the kind and name of each condition, and whether it may hold a credential."""
    found = {
        (condition.kind, condition.key, is_credential(condition.key)): None
        for rule in host.rules
        for match in rule.matches
        for condition in match.conditions
        if condition.kind not in _OWN_FIELDS
    }
    return tuple(found)[:_MAX_FACTS]
