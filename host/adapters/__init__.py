"""Implementations of ports: storage, files and the operating system."""
