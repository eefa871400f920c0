"""Tools that are composed of a host's parts: they stand above all of them."""
