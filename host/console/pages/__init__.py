"""The pages, one module each: what they ask the gate, and the values of their templates."""
