"""CPK, CPB and CPI: Corda 5 package format 2.0, read, verified, built and signed."""
