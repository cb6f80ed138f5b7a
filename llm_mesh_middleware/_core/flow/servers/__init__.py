"""Watching model servers: their metrics and health checks, and what their picker says."""
