"""Corda's packages: what a CPK, CPB or CPI has to hold, built and verified."""
