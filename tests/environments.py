"""Virtual environments of heavy engines: each of its own hashed lock, kept beside the project's own."""

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python_with(name: str) -> str:
    """The Python of .venv-<name>, which has requirements.<name>.lock installed."""
    folder, lock = ROOT / f".venv-{name}", ROOT / f"requirements.{name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    ready, python = folder / "ready", str(folder / "bin" / "python")
    if not ready.exists() or ready.read_text() != digest:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, "--require-hashes", "-r", lock], check=True)
        ready.write_text(digest)
    return python
