"""Watching model servers: their metrics and health checks, read while requests come."""
