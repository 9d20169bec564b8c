"""Whether a release's manifest was signed with the key that a deploy file trusts."""

import base64
import binascii

from gitops.errors import GitopsError

MEMBER = "manifest.sig"  # of the archive: 64 bytes of Ed25519 over manifest.json, in base64


def refuse_unless_signed(manifest: bytes, signature: bytes | None, public_key: str, where: str) -> None:
    """Raise GitopsError unless `signature` is the manifest's by the PEM key `public_key`."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise GitopsError(f"verify.public_key: is no PEM of a public key ({error})") from error
    if not isinstance(key, Ed25519PublicKey):
        raise GitopsError("verify.public_key: is no Ed25519 key; make one with openssl genpkey -algorithm ed25519")
    if signature is None:
        raise GitopsError(f"{where}: is not signed; set train.signing_key and train again")
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), manifest)
    except (InvalidSignature, binascii.Error) as error:
        raise GitopsError(f"{where}: its signature is not by the key that verify.public_key names") from error
