"""Assertions about replies: which way, whence, or refused by whom."""
