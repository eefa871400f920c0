"""Asking running hosts over REST: how they are named, shapes of their answers, shared questions."""
