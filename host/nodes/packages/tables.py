"""Tables of the package catalogue and of trusted certificates, in the cluster's database."""

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table, Text, UniqueConstraint

from host.database.claims import claim_columns
from host.domain.ids import CHECKSUM_CHARACTERS
from host.ports.database import EVERY, REMEMBERED, Schema

METADATA = MetaData()

CPI = Table(
    "cpi",
    METADATA,
    Column("file_checksum", String(CHECKSUM_CHARACTERS), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("signer_summary_hash", String(255), nullable=False),
    Column("group_id", String(255), nullable=False),
    Column("group_policy", Text, nullable=False),
    Column("cpks", Text, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    UniqueConstraint("name", "version", "signer_summary_hash", name="cpi_identity"),
    info=REMEMBERED,
)
"""One row for each stored CPI; the file is stored beside the database under its checksum."""

CPI_REPLACED = Table(
    "cpi_replaced",
    METADATA,
    Column("file_checksum", String(CHECKSUM_CHARACTERS), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("signer_summary_hash", String(255), nullable=False),
    Column("group_id", String(255), nullable=False),
    Column("group_policy", Text, nullable=False),
    Column("cpks", Text, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    info=REMEMBERED,
)
"""CPIs that a forced upload replaced: virtual nodes made from them run the new code.

Rows and files are never deleted, since recorded transactions name their CPKs.
"""

CPK = Table(
    "cpk",
    METADATA,
    Column("file_checksum", String(CHECKSUM_CHARACTERS), primary_key=True),
    Column("cpi_checksum", String(CHECKSUM_CHARACTERS), primary_key=True),
    info=REMEMBERED,
)
"""Which CPIs, including replaced ones, contain a CPK; no row is deleted."""

GROUP_FOUNDER = Table(
    "group_founder",
    METADATA,
    Column("group_id", String(255), primary_key=True),
    Column("signer_summary_hash", String(255), nullable=False),
    info=REMEMBERED,
)
"""Who signed the first CPI of each group; the row stays when that CPI is replaced."""

CERTIFICATE = Table(
    "certificate",
    METADATA,
    Column("tenant", String(12), primary_key=True),
    Column("usage", String(32), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("pem", Text, nullable=False),
    Column("imported_at", BigInteger, nullable=False),
    info=REMEMBERED,
)
"""Imported certificate chains, leaf first, by usage and alias.

`tenant` is `cluster`, or the short hash of a virtual node.
"""
_TENANTS = (
    "ALTER TABLE certificate RENAME TO certificate_1",
    (
        "CREATE TABLE certificate (tenant VARCHAR(12) NOT NULL, usage VARCHAR(32) NOT NULL,"
        " alias VARCHAR(255) NOT NULL, pem TEXT NOT NULL, imported_at BIGINT NOT NULL,"
        " PRIMARY KEY (tenant, usage, alias))"
    ),
    "INSERT INTO certificate SELECT 'cluster', usage, alias, pem, imported_at FROM certificate_1",
    "DROP TABLE certificate_1",
)

UPLOAD = Table(
    "upload",
    METADATA,
    Column("request_id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("signer_summary_hash", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("pending", Boolean),
    Column("cpi_checksum", String(12)),
    Column("failure", Text),
    Column("started_at", BigInteger, nullable=False),
    *claim_columns(),
    UniqueConstraint("name", "version", "signer_summary_hash", "pending", name="upload_pending"),
)
"""Uploads of all processes. `pending` is true, or null once the upload has ended, so that an
identity has at most one pending upload. `failure` is JSON; `cpi_checksum` the short one of the
stored CPI.
"""

PACKAGES = Schema(name="packages", metadata=METADATA, version=2, migrations={1: {EVERY: _TENANTS}})
