"""The gauntlet: attacks on this host's sandboxes, and what stopped each of them."""
