"""Values of application networks, as stored and as sent. Pure."""
