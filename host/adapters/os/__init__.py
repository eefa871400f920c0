"""The operating system: clocks, randomness, limits of descriptors."""
