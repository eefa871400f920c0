"""Fuzzes a CPI's contracts.

`hunt` runs the searches and judges, `search` makes transactions from schemas and by `mutation` of
known ones, `coverage` runs contracts so that they report the lines that they reach.
"""
