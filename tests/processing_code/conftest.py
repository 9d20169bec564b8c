"""The folder ships alone: its modules import each other by bare names, as from a script's own folder."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tests" / "processing_code", ROOT / "tests" / "training_code", ROOT / "processing_code"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
