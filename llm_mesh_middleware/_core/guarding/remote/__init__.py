"""Remote guards: a webhook, a model as the judge, or a moderation endpoint gives verdicts."""
