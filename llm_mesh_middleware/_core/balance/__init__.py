"""Choose one of several backends."""
