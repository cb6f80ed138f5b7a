"""Every dialect, with a request, a stream and a provider of it: a new dialect is a row here.

Each stream has reasoning, a text that is not ASCII, and two calls; those of chat interleave.
"""

from __future__ import annotations

from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._core.dialect import WholeAnswer
from llm_mesh_middleware._dialects.translation.relay import TranslatingRelay
from tests.translation.spoken import bedrock, chat, gemini, messages, ollama, responses
from tests.translation.spoken.rows import Provider, Spoken

__all__ = ["CLIENTS", "DIALECTS", "PAIRS", "PROVIDERS", "relay"]

DIALECTS: dict[str, Spoken] = {
    "chat": chat.SPOKEN,
    "responses": responses.SPOKEN,
    "messages": messages.SPOKEN,
    "gemini": gemini.SPOKEN,
    "bedrock": bedrock.SPOKEN,
    "ollama": ollama.SPOKEN,
}
CLIENTS = [name for name, spoken in DIALECTS.items() if spoken.ask is not None]
PAIRS = [(client, provider) for client in CLIENTS for provider in DIALECTS if client != provider]
PROVIDERS: dict[str, Provider] = {name: spoken.provider for name, spoken in DIALECTS.items()}


def relay(client: str, provider: str) -> TranslatingRelay:
    """A relay for one stream of `provider` to a client that has asked as the table says."""
    speaks, spoken = DIALECTS[client], DIALECTS[provider]
    stamp = Stamp(1, "token", "m")
    return TranslatingRelay(
        "provider.example",
        spoken.side.event_reader(stamp),
        speaks.side.event_writer(speaks.side.read_request(speaks.request), stamp),
        refuse=lambda fault: WholeAnswer(fault.status, [], fault.message.encode()),
        client=speaks.side,
    )
