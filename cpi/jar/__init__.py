"""JAR manifests and JAR signatures: checked, made, timestamped."""
