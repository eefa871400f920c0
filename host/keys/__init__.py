"""Keys of the host's tenants, created, wrapped and used here; they leave only with their node."""

from host.keys.capabilities import CryptoCapability, SigningCapability
from host.keys.master import MasterKeyFiles, MasterKeys, load_master_key
from host.keys.schemes import SCHEMES, SchemePublicKeys
from host.keys.store import SoftKeyStore
from host.keys.tables import SCHEMA

__all__ = [
    "SCHEMA",
    "SCHEMES",
    "CryptoCapability",
    "MasterKeyFiles",
    "MasterKeys",
    "SchemePublicKeys",
    "SigningCapability",
    "SoftKeyStore",
    "load_master_key",
]
