"""Ports: I/O for the core other than upstream calls."""
