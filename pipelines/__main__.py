"""python -m pipelines run params/ncf.yml | --all [--dry-run] [--wait], validate, search, schema."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from pipelines import commands, expiry, runs, search
from pipelines import project as projects
from pipelines.errors import ExpiredError, ProjectError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main_parser = argparse.ArgumentParser(prog="python -m pipelines", description="Compile and start pipelines.")
    programs = main_parser.add_subparsers(dest="program", required=True)
    for name, about in (
        ("run", "start the run that the params describe, or say that it was already"),
        ("validate", "check params, data lock and definition; starts nothing"),
    ):
        program = programs.add_parser(name, help=about, description=about)
        which = program.add_mutually_exclusive_group(required=True)
        which.add_argument("params", nargs="?", type=Path, help="params/<model>.yml")
        which.add_argument("--all", action="store_true", help="every params file of the project")
    program = programs.choices["run"]
    program.add_argument("--dry-run", action="store_true", help="print the definition; no credentials, no cloud")
    program.add_argument("--wait", action="store_true", help="follow the run to its end")
    add_search(programs.add_parser("search", help="try hyperparameters on this machine", description=search.__doc__))
    programs.add_parser("schema", help="write the editors' JSON Schemas to params/schema/")
    return main_parser


def add_search(program: argparse.ArgumentParser) -> None:
    """The arguments of a local search."""
    program.add_argument("params", type=Path, help="params/<model>.yml, with a search section")
    program.add_argument("--train-dir", type=Path, required=True, help="the train folder that prepare.py wrote")
    program.add_argument("--trials", type=int, help="instead of search.trials")
    program.add_argument("--parallel", type=int, help="instead of search.parallel; with 1, equal seeds try the same")
    program.add_argument("--write", action="store_true", help="put the best values into the params file")


def dispatch(arguments: argparse.Namespace) -> None:
    """Run one program in the project that the params file, or else the working directory, lies in."""
    root = projects.find_root(getattr(arguments, "params", None) or Path.cwd() / projects.FILE)
    if arguments.program == "schema":
        return commands.write_schemas(root)
    if arguments.program == "search":
        given = search.Given(
            arguments.params, arguments.train_dir, arguments.trials, arguments.parallel, arguments.write
        )
        return search.run(root, given, commands.say)
    paths = runs.find(root) if arguments.all else [arguments.params]
    if arguments.program == "validate":
        return commands.validate(root, paths, os.environ)
    if arguments.dry_run:
        return commands.dry_run(root, paths, os.environ)
    return commands.run(root, paths, os.environ, wait=arguments.wait)


def main(argv: Sequence[str] | None = None) -> int:
    """0, 1 with a line for what the user can put right, 3 for what we have to, 75 run it again, 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    try:
        expiry.twice(lambda: dispatch(arguments))
    except ExpiredError as error:
        print(f"error: {error}", file=sys.stderr)
        return expiry.STATUS
    except ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001 - a mistake of ours: all of it is shown, and the exit code says whose it is
        traceback.print_exc()
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
