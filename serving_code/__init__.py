"""The endpoint's container. Ships alone: imports only the standard library, itself and its requirements.txt."""

import os

# ONNX Runtime 1.31 otherwise writes a file below TMPDIR and sends what it measured to its maker
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
