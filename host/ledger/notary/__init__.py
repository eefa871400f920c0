"""The notary: which states are spent. `decide` is pure; the service around it keeps the books."""
