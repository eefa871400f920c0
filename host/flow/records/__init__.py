"""What is kept of flows: statuses, histories, exports, dead letters."""
