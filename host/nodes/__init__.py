"""Virtual nodes: their packages, quotas and audit logs."""
