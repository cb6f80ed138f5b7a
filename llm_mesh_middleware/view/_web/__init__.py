"""The pages of the view, and who may see them."""
