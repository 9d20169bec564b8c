"""Reading and writing files so that equal content gives equal bytes."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write_table(path: Path, table: pa.Table) -> None:
    """Write Parquet: one writer for all engines, one thread and one chunk, so equal rows are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.combine_chunks(), path, compression="zstd", row_group_size=1_000_000)


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON; a number that is not finite becomes null, as JSON has no word for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(content), indent=2, sort_keys=True, allow_nan=False)
    half = path.with_name(path.name + ".part")  # a manifest makes an output: it is there whole or not at all
    half.write_text(text + "\n", encoding="utf-8")
    half.replace(path)


def finite(content: Any) -> Any:
    """The content with NaN and infinities as None."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def digest(path: Path) -> str:
    """A file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def instant(micros: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC; strings of this form sort as the times do."""
    return str(np.datetime64(micros, "us")) + "Z"
