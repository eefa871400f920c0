"""Recorded flows run again: the real guest, answered from a recording."""
