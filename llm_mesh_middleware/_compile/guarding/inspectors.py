"""The services that guards ask: webhooks, judges, moderation endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from ..._auth.static_key import bearer_token
from ..._core.guarding.remote.judge import DEFAULT_RULES, Judge
from ..._core.guarding.remote.moderation import Moderation
from ..._core.guarding.remote.verdict import Inspector
from ..._core.guarding.remote.webhook import Webhook
from ..._core.private import Discreet
from ..._core.provider.upstream import Upstream
from ..._dialects.openai_chat.moderations import MODERATIONS, moderations_target
from ..._dialects.openai_chat.prompts import CHAT_PROMPT
from ..._dialects.pairs import served_itself
from ..._manifest import Resource, Secret, SecretName
from ..._process.files import FileVersion
from ...config import GuardItem, GuardJudge, GuardModeration, GuardWebhook
from ...exceptions import Problem
from ..keys import KeyReader
from ..side_calls.services import endpoint_of

__all__ = ["Inspectors"]

_Path = tuple[str | int, ...]
_MODERATION_MODEL = "omni-moderation-latest"


class Inspectors(Discreet, frozen=True):
    """Makes the inspectors of guards.

    Attributes:
        find: returns the upstream of a provider host and a model, or an error message.
        environ: where `apiKeyFrom.env` is looked up.
        secrets: where `apiKeyFrom.secretKeyRef` is looked up.
        problems: gets the errors.
        files: gets the files that are read, with their versions from before the read.
    """

    shown: ClassVar[tuple[str, ...]] = ("find", "problems", "files")

    find: Callable[[str, str | None], Upstream | str]
    environ: Mapping[str, str]
    secrets: Mapping[SecretName, Secret] | None
    problems: list[Problem]
    files: dict[str, FileVersion]

    def of(self, resource: Resource, item: GuardItem, path: _Path) -> Inspector | None:
        """Return the inspector of a guard, or None if it asks nobody or has an error."""
        if item.webhook is not None:
            return self._webhook(resource, item.webhook, (*path, "webhook"))
        if item.judge is not None:
            return self._judge(resource, item.judge, (*path, "judge"))
        if item.moderation is not None:
            return self._moderation(resource, item.moderation, (*path, "moderation"))
        return None

    def _webhook(self, resource: Resource, config: GuardWebhook, path: _Path) -> Webhook | None:
        # A reader for each key, so that its problems can be told from those of others.
        keys = KeyReader(resource, environ=self.environ, secrets=self.secrets)
        key = keys.read(config, "api_key", path)
        self.files.update(keys.files)
        self.problems.extend(keys.problems)
        if keys.problems:
            return None
        parts = urlsplit(config.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Webhook(
            endpoint_of(config.url),
            target,
            parts.netloc,
            None if key is None else bearer_token(key),
        )

    def _judge(self, resource: Resource, config: GuardJudge, path: _Path) -> Judge | None:
        upstream = self._upstream(resource, config, path)
        if upstream is None:
            return None
        message = ""
        if CHAT_PROMPT.operation not in upstream.targets:
            message = "names a provider that has no chat completions"
        elif upstream.model is None:
            message = "has no model: set judge.model, or the provider's"
        if message:
            self._complain(resource, path, message)
            return None
        return Judge(upstream, CHAT_PROMPT, upstream.model, config.rules or DEFAULT_RULES)

    def _moderation(
        self, resource: Resource, config: GuardModeration, path: _Path
    ) -> Moderation | None:
        upstream = self._upstream(resource, config, path)
        if upstream is None:
            return None
        chat, target = CHAT_PROMPT.operation, None
        if chat in served_itself(upstream):
            target = moderations_target(upstream.targets[chat])
        if target is None:
            self._complain(resource, path, "names a provider that has no OpenAI chat completions")
            return None
        return Moderation(
            upstream,
            target,
            MODERATIONS,
            config.model or _MODERATION_MODEL,
            upstream.credentials.get(chat),
            dict(config.thresholds),
        )

    def _upstream(
        self, resource: Resource, config: GuardJudge | GuardModeration, path: _Path
    ) -> Upstream | None:
        found = self.find(config.provider_host, config.model)
        if isinstance(found, str):
            self._complain(resource, path, found)
            return None
        return found

    def _complain(self, resource: Resource, path: _Path, message: str) -> None:
        self.problems.append(resource.problem((*path, "providerHost"), message))
