"""Archives that training signed."""

import base64
import json
import warnings
from pathlib import Path

import checkerboard as board
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing torch warns of what is not ours
    import train

from signing import signer

from serving_code.archive import ArchiveError, load
from serving_code.trust import read_trust

KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)


def write_key(folder: Path, key=KEY, password: bytes | None = None) -> Path:
    folder.mkdir()
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (folder / "ed25519.pem").write_bytes(text)
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board.prepared(tmp_path_factory.mktemp("board"))


def test_f52_an_archive_is_signed_with_the_channels_key_and_otherwise_the_same(prepared: Path, tmp_path: Path):
    key = write_key(tmp_path / "signing")
    for name, more in {"plain": [], "signed": ["--signing-dir", str(key)]}.items():
        given = ["--train-dir", str(prepared / "train"), "--model-dir", str(tmp_path / name), "--models", "als", *more]
        assert train.main(given) == 0
        board.unpacked(tmp_path / name / "als.tar.gz", tmp_path / name)
    manifest = (tmp_path / "signed" / "manifest.json").read_bytes()
    assert manifest == (tmp_path / "plain" / "manifest.json").read_bytes()
    KEY.public_key().verify(base64.b64decode((tmp_path / "signed" / "manifest.sig").read_bytes()), manifest)
    assert (tmp_path / "signed" / "manifest.sig").read_bytes() == signer(key)(manifest)

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    trust = read_trust({"MODEL_PUBLIC_KEY": KEY.public_key().public_bytes(serialization.Encoding.PEM, form).decode()})
    assert load(tmp_path / "signed", trust).manifest == json.loads(manifest)
    with pytest.raises(ArchiveError, match="not signed"):
        load(tmp_path / "plain", trust)


def test_a_key_that_cannot_sign_is_refused_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_key(tmp_path / "curve", generate_private_key(SECP256R1()))
    write_key(tmp_path / "locked", password=b"x")
    (tmp_path / "empty").mkdir()
    for name in ("curve", "locked", "empty"):
        folders = ["--train-dir", str(tmp_path / "nowhere"), "--model-dir", str(tmp_path / "model")]
        assert train.main([*folders, "--signing-dir", str(tmp_path / name)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"error: {tmp_path / name / 'ed25519.pem'}: not an Ed25519 key")
        assert said.count("\n") == 1
