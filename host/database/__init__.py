"""SQL as features write it, for any database behind the port: dialects, claims, versions."""
