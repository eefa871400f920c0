"""What a host tells of itself: logs and metrics."""
