"""Guests in a process of their own: the child, its seal, the frames, the pool of processes."""
