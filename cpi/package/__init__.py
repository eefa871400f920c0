"""Corda's packages: building and verifying the contents of CPKs, CPBs and CPIs."""
