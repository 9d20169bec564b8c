"""The naive model behind MLflow's model server: python -m benchmarks.serving.naive_mlflow PORT.

Writes a model folder whose loader is this module, so that nothing is pickled, and becomes the process that
`mlflow models serve` starts: uvicorn with MLflow's own application.
"""

import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlflow.models import Model
from mlflow.pyfunc import add_to_model
from mlflow.pyfunc.scoring_server import get_cmd

from .naive import Naive


class Recommendations:
    """MLflow hands a model a data frame of requests."""

    def __init__(self) -> None:
        self.model = Naive()

    def predict(self, asked: Any) -> list[dict[str, Any]]:
        """One answer a row."""
        return [self.model.recommend(*row) for row in asked[["userId", "numResults"]].itertuples(index=False)]


def _load_pyfunc(_path: str) -> Recommendations:
    """What MLflow calls."""
    return Recommendations()


def serve(port: int) -> None:
    """Become the server."""
    folder = Path(tempfile.mkdtemp(prefix="naive-mlflow-"))
    described = Model()
    add_to_model(described, loader_module=__spec__.name)
    described.save(folder / "MLmodel")
    line, environment = get_cmd(str(folder), port, "127.0.0.1", nworkers=None)
    words = [sys.executable, "-m", *shlex.split(line)]
    os.execve(sys.executable, words, {**environment, "UVICORN_LOG_LEVEL": "warning"})  # noqa: S606 - no shell


if __name__ == "__main__":
    serve(int(sys.argv[1]))
