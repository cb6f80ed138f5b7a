"""Messages in the neutral form, and back."""
