"""HTTPS between clusters: serves the frames of peers, and posts to theirs."""
