"""Verifying transactions by a package's contracts without a host, and reporting on it."""
