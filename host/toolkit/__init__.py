"""Use cases that need packages and sandboxes but no running host: building CorDapps."""
