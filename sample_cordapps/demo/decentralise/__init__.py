"""Ten identities leave one host for hosts of their own, one by one and under load."""
