"""The peers' Python: RecBole needs an older numpy than this project, so they have an environment of their own."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-bench"
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}  # implicit threads by itself, and asks for this
LEFT_OUT = f"left out: {FOLDER.name} is not set up; `make bench` installs requirements.bench.lock into it"


def python() -> Path | None:
    """The peers' Python; None when `make bench` has not set it up."""
    found = FOLDER / "bin" / "python"
    return found if found.exists() and (FOLDER / "ready").exists() else None
