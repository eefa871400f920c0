"""The time that a read of entities may take; what a longer one is answered with."""

from host.db.query_time import QUERY_SECONDS_MAX, limited_time

__all__ = ["QUERY_SECONDS_MAX", "limited_time"]
