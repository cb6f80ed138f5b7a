"""Model servers: what their metrics and health checks say, besides the calls to them."""
