"""Credentials of providers: keys, tokens and signatures that make them accept a call. No I/O."""
