"""Watching model servers: their metrics, health checks, and endpoint pickers."""
