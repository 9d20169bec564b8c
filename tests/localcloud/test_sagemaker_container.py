"""The process of one container, without a localcloud around it."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from localcloud.processes import Processes
from localcloud.sagemaker.container import Launch, run


def test_a_process_ends_when_its_lines_cannot_be_kept(tmp_path: Path):
    processes, seen = Processes(), list[int]()

    def refuse(lines: list[str]) -> None:
        seen.append(int(lines[0]))
        raise ValueError("no room")

    cloud = SimpleNamespace(processes=processes, log=lambda group, stream, lines: None)
    command = ["sh", "-c", "echo $$; sleep 60"]
    launch = Launch(command, dict(os.environ), tmp_path, tmp_path / "log", group="g", stream="s", seconds=60)
    try:
        with pytest.raises(ValueError, match="no room"):
            run(cloud, launch, refuse)
        with pytest.raises(ProcessLookupError):
            os.killpg(seen[0], 0)
    finally:
        processes.stop_all()
