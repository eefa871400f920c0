"""The error for a fuzzed transaction that crashed its contract."""


class CrashFoundError(Exception):
    """A transaction crashed, so smaller ones are tried. A subclass for each kind of crash."""
