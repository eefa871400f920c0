"""Checks a data directory that no host runs on, file by file and files against each other."""

from host.tools.data_check.checking import Report, check_directory

__all__ = ["Report", "check_directory"]
