"""Adapters behind pluggy hooks."""
