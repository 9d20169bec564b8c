"""Whose model it is: the manifest's digest, and the signature of whoever trained it.

The manifest holds the digest of every other member, so what holds for its bytes holds for the whole archive.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE = "manifest.sig"
MAX_SIGNATURE = 1000  # bytes; 64 raw ones in base64 are 88


@dataclass(frozen=True)
class Trust:
    """What a manifest must be to be served. By default any manifest is: the platform then vouches for the archive."""

    manifest_sha256: str = ""  # hexadecimal; empty: any
    public_key: bytes = b""  # Ed25519, PEM; empty: no signature is asked for

    def objection(self, manifest: bytes, signature: bytes | None) -> str | None:
        """What speaks against a manifest, or None. `signature` is manifest.sig: 64 raw bytes in base64."""
        if self.manifest_sha256 and hashlib.sha256(manifest).hexdigest() != self.manifest_sha256:
            return "manifest.json is not the one that MANIFEST_SHA256 names"
        if not self.public_key:
            return None
        if signature is None:
            return f"the archive is not signed; with MODEL_PUBLIC_KEY set, it must hold {SIGNATURE}"
        if not signed_by(self.public_key, manifest, signature):
            return f"{SIGNATURE} is not the signature of manifest.json by the key of MODEL_PUBLIC_KEY"
        return None


def read_trust(environment: Mapping[str, str]) -> Trust:
    """Read MANIFEST_SHA256 and MODEL_PUBLIC_KEY. Raises ValueError for a misspelt one."""
    digest = environment.get("MANIFEST_SHA256", "").lower()
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("MANIFEST_SHA256: not a SHA-256; right are 64 hexadecimal digits")
    # a line break is hard to write in many consoles, so \n is taken for one
    key = environment.get("MODEL_PUBLIC_KEY", "").replace("\\n", "\n").encode()
    if key:
        verifier(key)
    return Trust(digest, key)


def verifier(public_key: bytes) -> "Ed25519PublicKey":
    """The public key, parsed. Raises ValueError if it is not Ed25519 in PEM."""
    # imported where it is needed: 12 MB that an endpoint without a key does not hold
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(
            "MODEL_PUBLIC_KEY: not an Ed25519 public key in PEM; right is what openssl pkey -pubout writes"
        )
    return key


def signed_by(public_key: bytes, manifest: bytes, signature: bytes) -> bool:
    """Whether the key's owner signed these bytes."""
    from cryptography.exceptions import InvalidSignature

    try:
        verifier(public_key).verify(base64.b64decode(signature.strip(), validate=True), manifest)
    except (InvalidSignature, ValueError):
        return False
    return True
