"""Memory images of pinned runtimes: making, keeping and running them."""
