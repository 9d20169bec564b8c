"""python -m benchmarks.serving --json serving.json [--quick]."""

import sys

from ..errors import exit_code
from .command import benchmark

if __name__ == "__main__":
    sys.exit(exit_code(benchmark))
