"""Keys, certificates, signatures and trust, read from untrusted bytes."""
