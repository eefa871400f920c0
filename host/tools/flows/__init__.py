"""What people do with flows of a running host, and with recordings of them."""
