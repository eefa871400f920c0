"""Tools for flows of a running host, and for recordings of them."""
