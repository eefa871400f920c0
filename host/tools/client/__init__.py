"""Asking running hosts over REST: how hosts are named, the shapes of their answers, shared questions."""
