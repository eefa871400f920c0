"""Values and rules of the host: standard library and msgspec only, no I/O."""
