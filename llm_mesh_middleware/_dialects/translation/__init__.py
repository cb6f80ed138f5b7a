"""Translation between dialects, through the neutral form."""
