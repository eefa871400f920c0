"""What the host needs from the outside, one Protocol per role. Adapters live elsewhere."""
