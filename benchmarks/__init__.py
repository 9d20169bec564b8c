"""Side by side with peers: training, quality, preparation and scaling, each with its own command."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would tell its maker what it measured
