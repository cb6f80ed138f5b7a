"""Finding forbidden content: recognisers, and windows over texts that arrive in pieces."""
