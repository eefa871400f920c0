"""Stored records of flows: statuses, histories, exports, dead letters."""
