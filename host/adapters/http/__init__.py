"""HTTP servers: connections, their limits, and the HTTP protocol with limits."""
