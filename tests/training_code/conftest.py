"""The folder ships alone: its modules import each other by bare names, as from a script's own folder."""

import os
import sys
from pathlib import Path

# as train.py does before it imports torch: threads that spin while they wait make a busy machine crawl
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tests" / "training_code", ROOT / "training_code"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
