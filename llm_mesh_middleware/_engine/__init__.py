"""The I/O: drivers that carry out an exchange's steps, and the HTTP clients they do it with."""
