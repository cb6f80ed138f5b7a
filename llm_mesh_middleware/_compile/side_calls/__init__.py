"""HTTP services of the operator that policies ask."""
