"""The cluster's entry point under a real spark-submit, reading from and writing to S3 (localcloud's)."""

import json
import os
import shutil
import subprocess
import uuid
import zipfile
from pathlib import Path

import checkerboard as board
import prepared
import pytest
from checkerboard import ROOT

from tests.environments import python_with

pytestmark = pytest.mark.heavy
CODE = ROOT / "processing_code"
WORDS = ("--columns", json.dumps(board.COLUMNS), "--as-of", "2026-07-01")
# stands in for the package that exists in Glue only: what its documentation says of getResolvedOptions
AWSGLUE = """
import argparse
def getResolvedOptions(argv, names):
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument("--" + name, required=True)
    return vars(parser.parse_known_args(argv[1:])[0])
"""


@pytest.fixture(scope="module")
def python() -> str:
    if not shutil.which("java"):
        pytest.skip("Spark needs Java 17; none is on PATH")
    return python_with("spark")


@pytest.fixture
def bucket(localcloud, tmp_path: Path) -> str:
    """A bucket with the board's partitions in it, and their lock."""
    s3, name = localcloud.client("s3"), f"spark-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    rows = board.rows()
    board.write_partitions(tmp_path, [board.table(rows[:300]), board.table(rows[300:])])
    for path in (path for path in (tmp_path / "data").rglob("*") if path.is_file()):
        s3.upload_file(str(path), name, path.relative_to(tmp_path / "data").as_posix())
    s3.upload_file(str(tmp_path / "lock" / "lock.json"), name, "locks/lock.json")
    return name


def submit(python: str, localcloud, program: list[str], words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **localcloud.environment, "PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python}
    command = [*program, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)


def places(bucket: str) -> list[str]:
    return ["--lock", f"s3://{bucket}/locks/lock.json", "--data", f"s3://{bucket}", "--output", f"s3://{bucket}/out"]


def test_spark_submit_leaves_in_s3_what_prepare_leaves_on_disk(python: str, localcloud, bucket: str, tmp_path: Path):
    packed = tmp_path / "processing_code.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in [*CODE.glob("*.py"), *CODE.glob("*.sql")]:
            archive.write(path, path.name)
    (tmp_path / "alone").mkdir()
    shutil.copy(CODE / "spark_job.py", tmp_path / "alone")
    spark = [str(Path(python).parent / "spark-submit"), "--master", "local[2]", "--py-files", str(packed)]
    done = submit(python, localcloud, [*spark, str(tmp_path / "alone" / "spark_job.py")], [*places(bucket), *WORDS])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    here = board.prepare_arguments(tmp_path)
    subprocess.run([python, str(CODE / "prepare.py"), *here, *WORDS], check=True, capture_output=True)
    s3 = localcloud.client("s3")
    for name in [*prepared.OUTPUTS, "report/manifest.json", "report/quarantine.parquet"]:
        assert s3.get_object(Bucket=bucket, Key=f"out/{name}")["Body"].read() == (tmp_path / name).read_bytes(), name


def test_f21_in_glue_a_missing_partition_is_named_with_the_nearest(
    python: str, localcloud, bucket: str, tmp_path: Path
):
    (tmp_path / "glue" / "awsglue").mkdir(parents=True)
    (tmp_path / "glue" / "awsglue" / "__init__.py").touch()
    (tmp_path / "glue" / "awsglue" / "utils.py").write_text(AWSGLUE)
    localcloud.client("s3").delete_object(Bucket=bucket, Key="raw/board/week=2026-21/part-0.parquet")
    glue = ["--JOB_NAME", "prepare", "--min_item_users", "2", "--max_bad_ratio=0.5"]
    program = ["/usr/bin/env", f"PYTHONPATH={tmp_path / 'glue'}", python, str(CODE / "spark_job.py")]
    words = ["--as_of" if word == "--as-of" else word for word in WORDS]
    done = submit(python, localcloud, program, [*glue, *places(bucket), *words])
    assert done.returncode == 1
    said = "raw/board/week=2026-21/part-0.parquet: partition is not there; the nearest that exists is "
    assert f"error: {said}raw/board/week=2026-20/part-0.parquet\n" in done.stderr
