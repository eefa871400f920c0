"""Tables of the package catalogue and of trusted certificates, in the cluster's database."""

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text, UniqueConstraint

from host.db import Schema

METADATA = MetaData()

CPI = Table(
    "cpi",
    METADATA,
    Column("file_checksum", String(71), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("signer_summary_hash", String(255), nullable=False),
    Column("group_id", String(255), nullable=False),
    Column("group_policy", Text, nullable=False),
    Column("cpks", Text, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    UniqueConstraint("name", "version", "signer_summary_hash", name="cpi_identity"),
)
"""One row for each stored CPI; the file lies beside the database under its checksum."""

CPI_REPLACED = Table(
    "cpi_replaced",
    METADATA,
    Column("file_checksum", String(71), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("signer_summary_hash", String(255), nullable=False),
)
"""Checksums that a forced upload replaced: virtual nodes made from them run the new code."""

CERTIFICATE = Table(
    "certificate",
    METADATA,
    Column("usage", String(32), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("pem", Text, nullable=False),
    Column("imported_at", BigInteger, nullable=False),
)
"""Imported certificate chains, leaf first, by usage and alias."""

PACKAGES = Schema(name="packages", metadata=METADATA)
