"""Instruments, and the attribute sets of their measurements."""
