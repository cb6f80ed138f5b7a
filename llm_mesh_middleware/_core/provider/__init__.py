"""Providers: their endpoints, credentials, secrets, and health."""
