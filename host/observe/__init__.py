"""What a host reports about itself: logs and metrics."""
