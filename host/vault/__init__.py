"""A node's storage: results of calls with side effects, kept while a flow may repeat the call."""
