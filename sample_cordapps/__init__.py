"""Sample CorDapps."""
