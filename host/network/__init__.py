"""Members of application networks, and the routes to them."""
