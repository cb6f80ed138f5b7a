"""Requests with the same meaning: the words that must be equal, and the similarity of the rest."""
