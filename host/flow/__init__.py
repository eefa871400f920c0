"""The flow engine: durable flows by journal replay, sessions between virtual nodes."""
