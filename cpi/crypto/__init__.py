"""Keys, certificates, signatures and trust, over bytes that nobody vouches for."""
