"""Timeouts, cancellation and interruption of tasks and threads."""
