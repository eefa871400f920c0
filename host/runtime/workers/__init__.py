"""Worker processes of a host, and the supervisor that keeps them running."""
