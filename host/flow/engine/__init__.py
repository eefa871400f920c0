"""The execution of flows: workers, steps, guests, timers, delivery."""
