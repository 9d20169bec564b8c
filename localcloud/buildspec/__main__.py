"""Check or run a buildspec by hand: `python -m localcloud.buildspec check | run | schema`."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..processes import Processes
from .document import BuildspecError, parse
from .halt import Halt
from .model import Buildspec, json_schema
from .phases import SUCCEEDED, Phases
from .runner import check, run
from .shell import Container


def main(argv: Sequence[str] | None = None) -> int:
    """0 if the buildspec is right, or its build succeeded; 1 otherwise; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.buildspec", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("schema", help="print the JSON Schema of a buildspec")
    commands.add_parser("check", help="read a buildspec and say what is wrong").add_argument("file", type=Path)
    runs = commands.add_parser("run", help="run its phases in a folder, as CodeBuild would")
    runs.add_argument("file", type=Path)
    runs.add_argument("--source", type=Path, default=Path(), help="the folder to build in (default: this one)")
    arguments = parser.parse_args(argv)
    try:
        return _dispatch(arguments)
    except (BuildspecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.command == "schema":
        print(json.dumps(json_schema(), indent=2))
        return 0
    spec = parse(arguments.file.read_text(), str(arguments.file))
    check(spec)
    return 0 if arguments.command == "check" else _run(spec, arguments.source.resolve())


def _run(spec: Buildspec, source: Path) -> int:
    if spec.env.secrets_manager:
        raise BuildspecError(
            "env.secrets-manager: only a CodeBuild project can read secrets; start localcloud for that"
        )
    processes = Processes()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            given = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
            own = {"CI": "true", "CODEBUILD_BUILD_SUCCEEDING": "1", "CODEBUILD_SRC_DIR": str(source)}
            variables = given | spec.env.variables | own
            container = Container(source, Path(scratch) / "shell", variables, print, processes, Halt(processes))
            return 0 if run(spec, container, Phases(print)).status == SUCCEEDED else 1
    finally:
        processes.stop_all()


if __name__ == "__main__":
    sys.exit(main())
