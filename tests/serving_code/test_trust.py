"""Whose models are served: by the manifest's digest, and by a signature."""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkerboard import ARCHIVE, ROOT
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from customers import pack, rewrite_manifest, write_customer
from endpoint import start, stop

from serving_code.archive import ArchiveError, load
from serving_code.trust import Trust, read_trust

KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signed(folder: Path, key: Ed25519PrivateKey = KEY) -> Path:
    """A customer's archive with a signature."""
    write_customer(folder, "a")
    (folder / "manifest.sig").write_bytes(base64.b64encode(key.sign((folder / "manifest.json").read_bytes())))
    return folder


def test_f52_a_manifest_is_trusted_by_its_digest(tmp_path: Path):
    digest = hashlib.sha256((ARCHIVE / "manifest.json").read_bytes()).hexdigest()
    assert load(ARCHIVE, read_trust({"MANIFEST_SHA256": digest.upper()})).sha256 == digest
    with pytest.raises(ArchiveError, match=r"manifest\.json is not the one that MANIFEST_SHA256 names"):
        load(ARCHIVE, Trust("0" * 64))


def test_a_signed_archive_is_trusted_by_its_key_written_in_one_line_or_several(tmp_path: Path):
    folder = signed(tmp_path / "model")
    for key in (pem(KEY), pem(KEY).replace("\n", "\\n")):
        assert load(folder, read_trust({"MODEL_PUBLIC_KEY": key})).manifest["model"] == "neumf"


def test_f52_an_archive_that_is_not_signed_or_by_another_or_changed_since_is_refused(tmp_path: Path):
    trust = read_trust({"MODEL_PUBLIC_KEY": pem(KEY)})
    with pytest.raises(ArchiveError, match="the archive is not signed"):
        load(ARCHIVE, trust)
    with pytest.raises(ArchiveError, match="is not the signature"):
        load(signed(tmp_path / "other", OTHER), trust)
    changed = signed(tmp_path / "changed")
    content = bytearray((ARCHIVE / "popularity.npy").read_bytes())
    content[-8] ^= 1
    (changed / "popularity.npy").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"popularity\.npy differs from its digest"):
        load(changed, trust)
    with pytest.raises(ArchiveError, match="is not the signature"):
        load(rewrite_manifest(changed), trust)


@pytest.mark.parametrize("signature", [b"", b"x", b"\xff" * 64, b"A" * 88, b"A" * 1000, b"\n"])
def test_f52_whatever_a_signature_is_it_is_refused_if_it_is_not_the_right_one(tmp_path: Path, signature: bytes):
    folder = signed(tmp_path / "model")
    (folder / "manifest.sig").write_bytes(signature)
    with pytest.raises(ArchiveError, match="is not the signature"):
        load(folder, read_trust({"MODEL_PUBLIC_KEY": pem(KEY)}))


def test_f52_a_signature_that_is_a_link_is_refused(tmp_path: Path):
    folder = signed(tmp_path / "model")
    (folder / "manifest.sig").rename(tmp_path / "sig")
    (folder / "manifest.sig").symlink_to(tmp_path / "sig")
    with pytest.raises(ArchiveError, match=r"manifest\.sig is not a regular file"):
        load(folder, read_trust({"MODEL_PUBLIC_KEY": pem(KEY)}))


WRONG = [("MANIFEST_SHA256", "0" * 63), ("MANIFEST_SHA256", "g" * 64), ("MODEL_PUBLIC_KEY", "no key"),
         ("MODEL_PUBLIC_KEY", pem(generate_private_key(SECP256R1())))]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=range(len(WRONG)))
def test_a_misspelt_wish_for_trust_does_not_start(name: str, value: str):
    command = [sys.executable, "-m", "serving_code", "serve"]
    done = subprocess.run(command, cwd=ROOT, env={name: value}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith(f"error: {name}: "), done.stderr.count("\n")) == (1, True, 1)


def test_f52_an_endpoint_with_a_key_serves_signed_models_only(tmp_path: Path):
    folder = signed(tmp_path / "good" / "model")
    good = start(folder.parent, MODEL_PUBLIC_KEY=pem(KEY))
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert good.wait(until=200)["sha256"] == digest
    assert stop(good) == ""

    write_customer(tmp_path / "bad" / "model", "b")
    bad = start(tmp_path / "bad", MODEL_PUBLIC_KEY=pem(KEY))
    while "being loaded" in (said := bad.wait(until=503)["error"]["message"]):
        pass
    assert "not signed" in said
    stop(bad)


def test_f52_a_multi_model_endpoint_with_a_key_loads_signed_models_only(tmp_path: Path):
    running = start(tmp_path, MODEL_PUBLIC_KEY=pem(KEY), SAGEMAKER_MULTI_MODEL="true")
    running.wait(until=200)
    packed = pack(signed(tmp_path / "signed"), tmp_path / "signed.tar.gz")
    asked = {"good": str(packed), "bad": str(write_customer(tmp_path / "unsigned", "b"))}
    found = {
        name: running.ask("POST", "/models", json.dumps({"model_name": name, "url": url}).encode())[0]
        for name, url in asked.items()
    }
    assert found == {"good": 200, "bad": 400}
    assert stop(running) == ""
