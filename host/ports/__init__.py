"""Interfaces of the host to the outside, one Protocol per role. Adapters are in `host.adapters`."""
