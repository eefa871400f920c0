"""Work topics that a message broker carries (`bus = kafka`): sending them, and landing them."""
