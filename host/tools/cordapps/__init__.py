"""Building CorDapps: their sources, dependencies and components in, signed packages out."""
