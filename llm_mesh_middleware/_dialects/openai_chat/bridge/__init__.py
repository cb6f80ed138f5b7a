"""The two forms of a chat or text completion: one JSON object, and a stream of events.

Used if the configuration makes a provider respond in a form that the client did not request. The
client's SDK must see the same objects as from a provider that supports the form, so members that it
needs are filled in, and no member of the provider is lost.

    completion_to_events    id, model, ... -> every chunk        other members -> the first chunk
                            message        -> one delta          finish reason -> a chunk of its own
    events_to_completion    id, model, ... <- the last that is   deltas        -> merged (`merging`)
                                              not empty          choices       -> `joined_choices`
"""

from __future__ import annotations

from .completion_events import NoCompletion, completion_to_events
from .joined_stream import BrokenStream, events_to_completion
from .sdk_json import ConversionLimit

__all__ = [
    "BrokenStream",
    "ConversionLimit",
    "NoCompletion",
    "completion_to_events",
    "events_to_completion",
]
