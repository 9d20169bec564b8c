"""Signs a manifest, and with it the whole archive: the manifest holds the digest of every other member.

The key is a channel of the training job, `signing`, with one file: openssl genpkey -algorithm ed25519 -out ed25519.pem
"""

import base64
from collections.abc import Callable
from pathlib import Path

from dataset import TrainingError

KEY = "ed25519.pem"
SIGNATURE = "manifest.sig"

Sign = Callable[[bytes], bytes]


def signer(folder: Path | None) -> Sign | None:
    """What signs bytes with the key in a folder: 64 bytes in base64, the same ones for the same bytes. None: no folder.

    Raises TrainingError, before any work, if the folder has no Ed25519 key without a password in PEM.
    """
    if folder is None:
        return None
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = folder / KEY
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:  # the cause may quote the key: not shown
        raise wrong_key(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise wrong_key(path)
    return lambda content: base64.b64encode(key.sign(content))


def wrong_key(path: Path) -> TrainingError:
    """The error for a key that cannot sign."""
    return TrainingError(f"{path}: not an Ed25519 key in PEM; right is what openssl genpkey -algorithm ed25519 writes")
