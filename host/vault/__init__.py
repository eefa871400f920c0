"""A node's storage: answers of calls with an effect, kept as long as a flow may ask again."""
