"""The host as processes: adapters made from settings, worker processes, calls between them."""
