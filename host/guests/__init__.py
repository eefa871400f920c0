"""The bridge between packages and sandboxes: code out of CPKs, guests for flows and contracts."""
