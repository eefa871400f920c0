"""The demonstration: real processes and real HTTP requests, from a key to a settled IOU.

`python -m sample_cordapps.demo` (or `make demo`) plays the part of a new user: every step prints
the command that a person would type and what came back. Nothing here imports the product
but `killer_plugin`, which the host loads.
"""
