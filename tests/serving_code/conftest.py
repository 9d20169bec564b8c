"""The checkerboard, whose archive this folder serves, lives beside the training tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training_code"))
