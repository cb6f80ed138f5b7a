"""Recognisers of personal data and secrets, each with checks against look-alikes."""
