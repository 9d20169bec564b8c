"""What the image holds, without building it: the packed folder and its requirements, in an empty directory."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkerboard import ARCHIVE, ROOT
from endpoint import Server, free_port, stop

FOLDER = ROOT / "serving_code"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def test_the_image_is_built_from_a_digest_only(tmp_path: Path):
    """The line of the Dockerfile that says so, run as a build would run it."""
    assert re.findall(r"^(?:ARG|FROM) .*", DOCKERFILE, flags=re.M) == ["ARG PYTHON", "FROM ${PYTHON}", "ARG PYTHON"]
    (check,) = re.findall(r"^RUN (case .*)", DOCKERFILE, flags=re.M)
    for image, code in {"python:3.12-slim": 1, "": 1, f"python:3.12-slim@sha256:{'0' * 64}": 0}.items():
        done = subprocess.run(["/bin/sh", "-c", check], env={"PYTHON": image}, capture_output=True, check=False)
        assert done.returncode == code


def test_the_image_runs_as_nobody_and_starts_what_the_tests_start():
    lines = DOCKERFILE.splitlines()
    assert "USER 10001" in lines
    assert ('ENTRYPOINT ["python", "-m", "serving_code"]' in lines, 'CMD ["serve"]' in lines) == (True, True)
    assert "COPY *.py /app/serving_code/" in lines
    assert not [path for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"]


def copied(app: Path) -> Path:
    """The application as the Dockerfile copies it, with nothing in it that could be written."""
    (app / "serving_code").mkdir(parents=True)
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, app / "serving_code")
    for path in [*app.rglob("*"), app]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return app


def answers_golden_requests(python: Path, folder: Path) -> None:
    """Start the image's entry point with this Python, read-only, and with nothing but its port in the environment."""
    app, port = copied(folder / "app"), free_port()
    shutil.copytree(ARCHIVE, folder / "model")
    before = sorted(folder.rglob("*"))
    environment = {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port),
                   "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder)}  # fmt: skip
    command = [str(python), "-m", "serving_code", "serve"]
    process = subprocess.Popen(command, cwd=app, env=environment, stderr=subprocess.PIPE, text=True)
    server = Server(port, process)
    try:
        server.wait(until=200)
        for line in (json.loads(text) for text in (ARCHIVE / "golden.jsonl").read_text().splitlines()):
            status, found = server.invoke(line["request"])
            assert (status, [one["itemId"] for one in found["itemList"]][:1]) == (200, line["itemIds"][:1])
            assert [one["score"] for one in found["itemList"]] == pytest.approx(line["scores"], abs=1e-4)
    finally:
        said = stop(server)
    assert (process.returncode, said, sorted(folder.rglob("*"))) == (0, "", before)


def test_the_packed_folder_serves_read_only_and_writes_nothing(tmp_path: Path):
    answers_golden_requests(Path(sys.executable), tmp_path)


@pytest.mark.heavy
def test_the_packed_folder_serves_with_its_own_hashed_requirements_alone(tmp_path: Path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    required = ["--require-hashes", "-r", str(FOLDER / "requirements.txt")]
    subprocess.run([*pip, *required], cwd=tmp_path, env=environment, check=True)
    (tmp_path / "run").mkdir()
    answers_golden_requests(venv / "bin" / "python", tmp_path / "run")
