"""Chat completions in the neutral form, and back."""
