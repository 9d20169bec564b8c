"""The peers' Pythons: their pins are not this project's, so each group has an environment of its own."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRAINING, SERVING = "bench", "serving-peers"  # .venv-<name>, installed from requirements.<name>.lock
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}  # implicit threads by itself, and asks for this


def left_out(name: str = TRAINING) -> str:
    """Why a peer does not take part."""
    return f"left out: .venv-{name} is not set up; `make bench` installs requirements.{name}.lock into it"


def python(name: str = TRAINING) -> Path | None:
    """The peers' Python; None when `make bench` has not set it up."""
    folder = ROOT / f".venv-{name}"
    found = folder / "bin" / "python"
    return found if found.exists() and (folder / "ready").exists() else None
