"""What runs flows: workers, steps, guests, timers, delivery."""
