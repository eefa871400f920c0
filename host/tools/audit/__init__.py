"""Audits of packages: content, rights and outgoing data of their sandboxes, without a host."""
