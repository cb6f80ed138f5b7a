"""Finding what must not be said: recognisers, and windows over texts that arrive in pieces."""
