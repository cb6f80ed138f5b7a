"""Ports: I/O that the core asks for and that is no upstream call."""
