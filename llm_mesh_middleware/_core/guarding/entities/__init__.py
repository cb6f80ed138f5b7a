"""Recognisers of personal data and secrets, each with what tells it from look-alikes."""
