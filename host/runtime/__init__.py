"""The host as processes: settings bound to adapters, workers, calls between them."""
