"""The link between clusters: sessions of identities, and delivery of messages over them."""
