"""The commands: `python -m localcloud up | down | env | status`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from . import running, state
from .service import CloudError


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 for what the user can put right, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except CloudError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description="The AWS that runs on a laptop.")
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="start")
    up.add_argument("--port", type=int, default=4566, help="0 picks a free one (default: %(default)s)")
    up.add_argument("--detach", action="store_true", help="return when ready and go on in the background")
    up.add_argument("--images", type=Path, help="which container image runs as which process (docs/localcloud.md)")
    up.add_argument("--git-root", type=Path, help="folder of the bare repositories (default: <directory>/git)")
    up.add_argument("--region", default="eu-west-1", help="default: %(default)s")
    up.set_defaults(command=_up)
    for name, command, text in (
        ("down", _down, "stop, with everything it started"),
        ("env", _env, 'print exports: eval "$(python -m localcloud env)"'),
        ("status", _status, "say whether one is running, and where"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    for subparser in commands.choices.values():
        subparser.add_argument(
            "--directory",
            type=Path,
            default=Path(".localcloud"),
            help="where it keeps its state (default: %(default)s)",
        )
    return parser


def _up(arguments: argparse.Namespace) -> int:
    settings = running.Settings(
        arguments.directory.resolve(),
        arguments.port,
        arguments.region,
        arguments.images.resolve() if arguments.images else None,
        arguments.git_root.resolve() if arguments.git_root else None,
    )
    if arguments.detach:
        _announce(running.detach(settings))
    else:
        running.up(settings, _announce)
    return 0


def _announce(state: state.State) -> None:
    print(f"localcloud ready at {state.endpoint} (pid {state.pid})", flush=True)


def _down(arguments: argparse.Namespace) -> int:
    stopped = running.down(arguments.directory.resolve())
    print("localcloud stopped" if stopped else f"no localcloud runs in {arguments.directory}")
    return 0


def _running(directory: Path) -> state.State:
    found = state.read(directory.resolve())
    if found is None or not found.alive:
        raise CloudError("NotRunning", f"no localcloud runs in {directory}; start it with `python -m localcloud up`")
    return found


def _env(arguments: argparse.Namespace) -> int:
    for name, value in running.variables(_running(arguments.directory)).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    found = _running(arguments.directory)
    print(f"running at {found.endpoint} (pid {found.pid}, region {found.region}, git in {found.git_root})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
