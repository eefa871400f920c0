"""Checks a data directory that no host runs on, or the database of a cluster."""

from host.tools.data_check.checking import Report, check_directory, check_own_files
from host.tools.data_check.shared import SharedReport, check_shared

__all__ = ["Report", "SharedReport", "check_directory", "check_own_files", "check_shared"]
