"""Calls apart from the attempts, for policies that ask a provider or a service."""
