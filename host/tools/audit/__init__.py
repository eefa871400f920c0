"""Audits: what a package's sandboxes hold, may do and let out, without any running host."""
