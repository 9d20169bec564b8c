"""The endpoint under load, side by side with peers: python -m benchmarks.serving --json serving.json."""
