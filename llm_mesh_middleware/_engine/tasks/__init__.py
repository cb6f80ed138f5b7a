"""Timeouts, cancellation and background work of tasks and threads."""
