"""The checkerboard, whose archive is served here, lives beside the training tests; endpoint.py is in this folder."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "training_code"), str(HERE)]
