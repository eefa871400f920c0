"""What can be said of packages without a host: differences, rebuilds, whether a host takes them."""
