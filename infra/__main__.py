"""python -m infra deploy|describe|delete [--parameter Name=value ...]: the stacks of infra/*.yml.

`deploy` brings the foundation (infra/template.yml) up to date, packs the code of the Lambda functions into its bucket,
then brings what stands around the endpoints (infra/serving.yml) and what happens by itself (infra/refresh.yml) up to
date.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra import commands, packages, stack
from pipelines import project
from pipelines.errors import ProjectError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    known = {name: what for name, (_, what) in commands.COMMANDS.items()}
    result = argparse.ArgumentParser(
        prog="python -m infra",
        description="The stacks of infra/template.yml, infra/serving.yml and infra/refresh.yml.",
        epilog="\n".join(["parameters:", *(f"  {name}: {what}" for name, what in declared().items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("command", choices=known, metavar="|".join(known), help="; ".join(known.values()))
    result.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", type=assignment,
        help="a parameter of the template; those not given keep their value, or come from project.yml",
    )  # fmt: skip
    return result


def declared() -> dict[str, str]:
    """The parameters a person may give, of all templates; the code's keys are this command's own."""
    found = {name: what for template in stack.TEMPLATES for name, what in template.declared().items()}
    return {name: what for name, what in found.items() if name not in packages.PACKAGES}


def assignment(text: str) -> tuple[str, str]:
    """`Name=value`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE; write --parameter Branch=main")
    return name, value


def run(argv: Sequence[str] | None) -> int:
    """Parse and dispatch."""
    arguments = parser().parse_args(argv)
    mine = project.load(Path.cwd())
    parameters = stack.own_parameters(mine) | dict(arguments.parameter)
    for unknown in sorted(set(parameters) - set(declared())):
        raise ProjectError(f"--parameter {unknown}: no template declares it; --help lists those there are")
    command, _ = commands.COMMANDS[arguments.command]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or mine.region
    return command(commands.Clouds(stack.client(region), packages.client(region)), parameters)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 something to put right, 130 interrupted."""
    try:
        return run(argv)
    except (ProjectError, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    gc.disable()  # a short life: collecting among boto3's many small objects takes longer than what it frees is worth
    try:
        sys.exit(main())
    finally:
        gc.freeze()
