"""Tools composed of parts of the host; they may import all of them."""
