"""Requests of each dialect, as its writer has them.

A turn with calls is followed by one with a result for each of them.
"""

from __future__ import annotations

from tests.round_trips.chat import CHAT
from tests.round_trips.gemini import GEMINI
from tests.round_trips.messages import MESSAGES
from tests.round_trips.responses import RESPONSES
from tests.round_trips.values import Members

__all__ = ["REQUESTS"]

REQUESTS: dict[str, Members] = {
    "chat": CHAT,
    "messages": MESSAGES,
    "responses": RESPONSES,
    "gemini": GEMINI,
}
