"""The parts that `Mesh` is composed of."""
