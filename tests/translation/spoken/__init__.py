"""One module a dialect: a request, a stream, and a provider that plays a part in it."""
