"""Choosing one backend out of several."""
