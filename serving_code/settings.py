"""What the container is told by its environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the model is, and which release it is: the archive itself does not know."""

    model_dir: Path
    port: int
    model_name: str
    model_version: str
    run_id: str


def read_settings() -> Settings:
    """Read SageMaker's variables and those of CreateModel's Environment."""
    root = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    return Settings(
        model_dir=root / "model",
        port=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")),
        model_name=os.environ.get("MODEL_NAME", ""),
        model_version=os.environ.get("MODEL_VERSION", ""),
        run_id=os.environ.get("RUN_ID", ""),
    )
