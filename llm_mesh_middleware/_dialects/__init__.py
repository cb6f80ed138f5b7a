"""Wire conversions, one module per pair of dialects; sans-IO like the core they serve."""
