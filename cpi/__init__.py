"""CPK, CPB and CPI: Corda 5 package format 2.0, read, verified, built and signed.

It works on bytes and keys, and depends neither on WebAssembly nor on the host. Where to start:

- `cpi.package.verify.verify_package`: is this package what its signers signed, and are they
  trusted?
- `cpi.package.build`: signed CPKs, CPBs and CPIs from their contents.
- `cpi.jar.signing.resign`: another signature on a package.
- `cpi.crypto.keys`: signing keys in PKCS#12 keystores.
- `cpi.package.group_policy` and `cpi.package.group_policy_generation`: group policies, read and
  made.
- `cpi.errors.Code`: every reason for which something is refused.
"""
