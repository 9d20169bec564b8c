"""Measure a training job's models on the holdout, propose one, and decide whether it may go on.

Ships alone: imports only the standard library, this folder and its requirements.txt.

    python evaluate.py --model-dir model --train-dir train --holdout-dir holdout --champion-dir champion \
        --output-dir evaluation --models-dir models \
        --gate absolute.ndcg@10.min=0.02 sanity.beat_popularity=true

What it leaves: report.py. What the gate may ask: rules.py.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Read when numpy is loaded. Its threads otherwise spin while they wait for each other, on cores that ONNX Runtime's
# or another job's threads could use: half of the time an evaluation took.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import page
import timing
from assessment import Assessment, Measured, assess
from candidates import write_archives
from channels import Data, load
from contest import CHAMPION, Contest, baseline, gather
from gate import Evidence, decide
from model_archive import Scorer
from page import Beside
from problems import ProcessingError, exit_code
from ranking import Protocol
from report import record, rows, write
from rules import level_of, metric_of, read_rules
from tables import write_json


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "train", "holdout", "output", "models"):
        arguments.add_argument(f"--{name}-dir", type=Path, required=True)
    arguments.add_argument("--prepared-dir", type=Path, help="prepare's report, only shown in report.html")
    arguments.add_argument("--champion-dir", type=Path, help="holds model.tar.gz, or the marker NONE")
    arguments.add_argument("--top-k", type=cutoffs, default=(10, 50), help="comma separated")
    arguments.add_argument("--test-num-ng", type=int, default=99)
    arguments.add_argument("--gate", nargs="+", required=True, help="rules, as in absolute.ndcg@10.min=0.02")
    arguments.add_argument("--seed", type=int, default=1)
    return arguments


def cutoffs(text: str) -> tuple[int, ...]:
    """ "10,50" as numbers from 1."""
    found = tuple(sorted({int(part) for part in text.split(",")}))
    if not found or found[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 10,50")
    return found


def evaluate(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises ProcessingError when the candidates or the data cannot be read."""
    arguments = parser().parse_args(argv)
    rules = read_rules(arguments.gate)  # before the work, not after it
    metric, level = metric_of(rules), level_of(rules)
    protocol = Protocol(arguments.top_k, arguments.test_num_ng, arguments.seed)
    counted = prepared(arguments.prepared_dir)
    data = load(arguments.train_dir, arguments.holdout_dir)
    contest = gather(arguments.model_dir, arguments.champion_dir, data, metric, protocol.seed)
    found = assess(contest.scorers(data), contest.proposed, data, protocol, level)
    decision = decide(rules, evidence(contest, found, data))
    write_archives(arguments.models_dir, contest.candidates)
    facts = record(contest, found, data, rules) | {"data": summary(counted)}
    whole = write(arguments.output_dir, decision, facts, rows(contest, found, data))
    took = timing.one_by_one(rivals(contest, data), data.holdout, protocol.depth)
    manifests = {name: archive.manifest for name, archive in contest.candidates.archives.items()}
    page.write(arguments.output_dir / "report.html", page.page(whole, Beside(counted, manifests, took)))
    one_user = {name: timing.percentiles(milliseconds) for name, milliseconds in took.items()}
    write_json(
        arguments.output_dir / "latency.json",
        {"milliseconds_per_user": found.milliseconds, "milliseconds_of_one_user": one_user},
    )
    print(f"{contest.proposed}: verdict: {decision.verdict}: {'; '.join(decision.reasons)}")


def prepared(folder: Path | None) -> dict[str, Any]:
    """What prepare counted; empty where it was not given. Raises ProcessingError when it is not what prepare writes."""
    if folder is None:
        return {}
    path = folder / "manifest.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        numbers = [*found["counts"].values(), *found["quarantine"].values()]
        if not all(isinstance(one, int) for one in numbers):
            raise ValueError("a count is not a number")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProcessingError(f"{path}: not what prepare.py writes ({error})") from error
    return dict(found)


def summary(counted: dict[str, Any]) -> dict[str, Any] | None:
    """What of it is evidence about the run: a release's record has it from here."""
    return {name: counted[name] for name in ("counts", "quarantine")} if counted else None


def rivals(contest: Contest, data: Data) -> dict[str, Scorer]:
    """Whose time is taken: the proposed model's, and the champion's if it can be compared."""
    return {name: one for name, one in contest.scorers(data).items() if name in {contest.proposed, CHAMPION}}


def evidence(contest: Contest, found: Assessment, data: Data) -> Evidence:
    """What the gate is told."""
    return Evidence(
        metrics=values(found.metrics[contest.proposed]) | {"bytes": contest.archive.bytes},
        popularity=values(found.metrics[baseline("popularity")]),
        users=len(data.holdout.users),
        difference=found.differences.get(CHAMPION),
        baselines={name: found.differences[baseline(name)] for name in contest.fitted},
        skipped=contest.skipped,
        slices=found.slices,
        doubts=contest.doubts(data),
    )


def values(metrics: Measured) -> dict[str, float]:
    """The metrics without their intervals."""
    return {name: one.value for name, one in metrics.items()}


if __name__ == "__main__":
    sys.exit(exit_code(evaluate))
