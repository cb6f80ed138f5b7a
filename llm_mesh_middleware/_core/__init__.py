"""Every decision of the mesh, without I/O.

Nothing below here awaits, sleeps, reads a clock, a file or the environment, or draws a random
number on its own: time and randomness are arguments. Imports: the standard library, msgspec and
`exceptions`.
"""
