"""What the benchmarks' command lines have in common."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from .errors import BenchmarkError

Choice = TypeVar("Choice")
DATA_HELP = "ml-1m (needs ML1M_DIR), completejourney, synthetic, or a folder with train/ and holdout/ of prepare.py"


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """A command line with --json and --quick."""
    words = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words.add_argument("--json", type=Path, metavar="FILE", help="write settings, runs, medians and ratios here")
    words.add_argument("--quick", action="store_true", help="a smoke test of under a minute; its figures mean nothing")
    return words


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return number


def selected(registry: Mapping[str, Choice], names: str | None) -> dict[str, Choice]:
    """The named ones, in the registry's order; all when none is named. Raises BenchmarkError for an unknown name."""
    if names is None:
        return dict(registry)
    wanted = {name.strip() for name in names.split(",")}
    if unknown := sorted(wanted - set(registry)):
        raise BenchmarkError(f"{', '.join(unknown)}: no such name; right is some of: {', '.join(registry)}")
    return {name: one for name, one in registry.items() if name in wanted}
