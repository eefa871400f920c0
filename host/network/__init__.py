"""Members of application networks."""
