"""Reads a view over HTTP: its snapshot, and its stream of events.

The standard library's client is enough for two GETs, and imports fast.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from typing import TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from ...explain import read_header
from ...view.values import Diff, Snapshot

Event = TypeVar("Event", Snapshot, Diff)

__all__ = ["DEFAULT_URL", "ViewReader"]

DEFAULT_URL = "http://127.0.0.1:15002/"

_LIMIT_S = 10.0
_PAUSE_S = 1.0
_MAX_BYTES = 64 << 20


class ViewReader:
    """Reads the view at one URL."""

    def __init__(self, url: str, headers: Sequence[str]) -> None:
        """Take the URL of the view's page, and headers for a login in front of it.

        Raises:
            click.BadParameter: the URL or a header is invalid.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise click.BadParameter(f"expected a URL such as {DEFAULT_URL}, not {url!r}")
        try:
            self._headers = dict(read_header(line) for line in headers)
        except ValueError as exc:
            raise click.BadParameter(str(exc)) from None
        self._url = url if url.endswith("/") else f"{url}/"

    def snapshot(self) -> Snapshot:
        """Return the current snapshot.

        Raises:
            click.ClickException: there is no view at the URL.
        """
        with self._open("snapshot.json") as response:
            return self._decoded(response.read(_MAX_BYTES), Snapshot)

    def events(self) -> Iterator[Snapshot | Diff]:
        """Yield a snapshot, then the changes of each second; reconnect when the connection is lost.

        Raises:
            click.ClickException: there is no view at the URL when it is read for the first time.
        """
        position: str | None = None
        while True:
            try:
                with self._open("events", position) as response:
                    for number, event in self._read(response):
                        position = number
                        yield event
            except (OSError, HTTPException):  # the connection is lost
                pass
            except click.ClickException:
                if position is None:
                    raise
            time.sleep(_PAUSE_S)

    def _open(self, name: str, position: str | None = None) -> HTTPResponse:
        headers = (
            self._headers if position is None else {**self._headers, "last-event-id": position}
        )
        request = urllib.request.Request(self._url + name, headers=headers)  # noqa: S310 - checked
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            response: HTTPResponse = opener.open(request, timeout=_LIMIT_S)
        except urllib.error.HTTPError as exc:
            with exc:
                refusal = _refusal(self._url, exc)
            raise click.ClickException(refusal) from None
        except OSError as exc:
            reason = getattr(exc, "reason", exc)
            raise click.ClickException(
                f"no view at {self._url} ({reason}); start one with llm-mesh serve --view"
            ) from None
        return response

    def _read(self, response: HTTPResponse) -> Iterator[tuple[str | None, Snapshot | Diff]]:
        """Yield each event with its id; only the view's own subset of SSE is read."""
        position: str | None = None
        kind = data = b""
        for line in response:
            name, _, value = line.rstrip(b"\r\n").partition(b": ")
            if name == b"id":
                position = value.decode("latin-1")
            elif name == b"event":
                kind = value
            elif name == b"data":
                data = value
            elif not name and data:
                is_whole = kind == b"snapshot"
                yield (
                    position,
                    self._decoded(data, Snapshot) if is_whole else self._decoded(data, Diff),
                )
                data = b""

    def _decoded(self, data: bytes, kind: type[Event]) -> Event:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError:
            raise click.ClickException(f"{self._url} is not a view of this version") from None


def _refusal(url: str, error: urllib.error.HTTPError) -> str:
    """Say what a server replied: a view says why in plain text, anything else is no view."""
    if error.headers.get_content_type() != "text/plain":
        return f"no view at {url} (it replied {error.code}); start one with llm-mesh serve --view"
    text = error.read(200).decode("utf-8", "replace")
    return f"{url} replied {error.code}: {text}"
