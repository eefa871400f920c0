"""Ten identities, the notary and the MGM leave one host for hosts of their own, under load."""
