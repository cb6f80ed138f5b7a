"""Guards that ask: a webhook, a model as the judge, a moderation endpoint."""
