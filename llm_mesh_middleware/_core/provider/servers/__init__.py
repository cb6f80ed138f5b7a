"""Model servers: their metrics, health checks, pickers and model names."""
