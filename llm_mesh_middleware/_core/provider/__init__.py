"""A provider as the mesh calls it, and how healthy it is."""
