"""JSON Schemas of params/, for editors: python -m pipelines schema."""

import json
from pathlib import Path

from pipelines.models import Section
from pipelines.params import DataLock, Params
from pipelines.project import Project

SCHEMAS: dict[str, type[Section]] = {"params": Params, "data": DataLock, "project": Project}
FOLDER = Path("params") / "schema"


def texts() -> dict[str, str]:
    """File name -> content of each schema."""
    return {
        f"{name}.json": json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for name, model in SCHEMAS.items()
    }


def write(root: Path) -> list[Path]:
    """Write the schemas below a project's root; returns their paths."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(FOLDER / name)
    return written
