"""The models of documents of the Gateway API inference extension."""
