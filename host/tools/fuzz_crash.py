"""What a fuzzed transaction raises when it crashed its contract."""


class CrashFoundError(Exception):
    """A transaction crashed, so smaller ones are tried. A subclass for each kind of crash."""
