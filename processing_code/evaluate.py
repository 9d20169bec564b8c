"""Measure a training job's models on the holdout, propose one, and decide whether it may go on.

Ships alone: imports only the standard library, this folder and its requirements.txt.

    python evaluate.py --model-dir model --train-dir train --holdout-dir holdout --champion-dir champion \
        --output-dir evaluation --models-dir models \
        --gate absolute.ndcg@10.min=0.02 sanity.beat_popularity=true
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from candidates import propose, read_candidates, write_archives
from channels import Data, load
from gate import Decision, Evidence, decide
from intervals import Interval, bootstrap
from leakage import leak
from model_archive import ModelArchive, read_archive, scorer
from problems import ProcessingError, exit_code
from ranking import PerUser, Protocol, difference, mean, measure, popularity_scorer
from rules import level_of, metric_of, read_rules
from tables import write_json

NO_CHAMPION = "NONE"


@dataclass(frozen=True)
class Champion:
    """The champion's scores, or why there are none."""

    archive: ModelArchive | None
    metrics: PerUser | None
    doubts: tuple[str, ...]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "train", "holdout", "output", "models"):
        arguments.add_argument(f"--{name}-dir", type=Path, required=True)
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
    """The whole program. Raises ProcessingError when the candidate or the data cannot be read."""
    arguments = parser().parse_args(argv)
    gate = read_rules(arguments.gate)  # before the work, not after it
    protocol = Protocol(arguments.top_k, arguments.test_num_ng, arguments.seed)
    data = load(arguments.train_dir, arguments.holdout_dir)
    candidates = read_candidates(arguments.model_dir / "model.tar.gz")
    proposed = propose(candidates.archives, metric_of(gate))
    candidate = candidates.archives[proposed]
    measured = {
        name: measure(scorer(archive, data.train.users, data.train.items), data.holdout, protocol)
        for name, archive in candidates.archives.items()
    }
    ours = measured[proposed]
    popular = measure(popularity_scorer(data.train.item, len(data.train.items)), data.holdout, protocol)
    champion = challenge(arguments.champion_dir, data, protocol)
    level = level_of(gate)
    compared = None
    if champion.metrics is not None:
        compared = bootstrap(difference(ours, champion.metrics), level, protocol.seed)
    doubts = (*own_doubts(candidate, data), *champion.doubts)
    decision = decide(gate, Evidence(mean(ours), mean(popular), len(data.holdout.users), compared, doubts=doubts))

    def intervals(metrics: PerUser) -> dict[str, Interval]:
        return bootstrap(metrics, level, protocol.seed)

    record = {
        "model": proposed,
        "models": {
            name: {
                "archive_sha256": archive.sha256,
                "bytes": archive.bytes,
                "validation": archive.validation,
                "metrics": shown(intervals(measured[name])),
            }
            for name, archive in candidates.archives.items()
        },
        "failures": candidates.failures,
        "archive_sha256": candidate.sha256,
        "metrics": shown(intervals(ours)),
        "baselines": {"popularity": shown(intervals(popular))},
        "champion": describe(champion, compared, intervals),
        "users": len(data.holdout.users),
        "gate": gate,
    }
    write_archives(arguments.models_dir, candidates)
    write(arguments.output_dir, decision, record, intervals(ours))


def own_doubts(candidate: ModelArchive, data: Data) -> tuple[str, ...]:
    """Why the candidate's own numbers could not be trusted."""
    doubts = []
    if candidate.users != data.train.users or candidate.items != data.train.items:
        doubts.append("the archive's users or items are not those of the training data")
    found = leak(candidate, data)
    return (*doubts, f"the archive's {found}") if found else tuple(doubts)


def challenge(folder: Path | None, data: Data, protocol: Protocol) -> Champion:
    """Score the champion on the same holdout. One that cannot be compared fairly is a doubt, never a silence."""
    if folder is None or (folder / NO_CHAMPION).is_file():
        return Champion(None, None, ())
    try:
        archive = read_archive(folder / "model.tar.gz")
    except ProcessingError as error:
        return Champion(None, None, (f"the champion cannot be read: {error}",))
    found = leak(archive, data)
    if found:
        return Champion(archive, None, (f"the champion's {found}",))
    metrics = measure(scorer(archive, data.train.users, data.train.items), data.holdout, protocol)
    return Champion(archive, metrics, ())


def describe(champion: Champion, compared: Any, intervals: Any) -> dict[str, Any] | None:
    """The champion as decision.json shows it."""
    if champion.archive is None:
        return None
    return {
        "archive_sha256": champion.archive.sha256,
        "data_through": champion.archive.data_through,
        "metrics": champion.metrics and shown(intervals(champion.metrics)),
        "difference": compared and shown(compared),
    }


def shown(found: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    """Intervals as JSON."""
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in found.items()}


def write(output: Path, decision: Decision, record: dict[str, Any], metrics: Mapping[str, Interval]) -> None:
    """Write decision.json, and evaluation.json in SageMaker's model-quality layout."""
    quality = {
        name: {"value": one.value, "standard_deviation": asdict(one)["standard_deviation"]}
        for name, one in metrics.items()
    }
    write_json(output / "evaluation.json", {
        "version": 0.0, "dataset": {"item_count": record["users"]}, "regression_metrics": quality,
    })  # fmt: skip
    write_json(output / "decision.json", {
        "verdict": decision.verdict, "register": decision.register, "reasons": list(decision.reasons),
        "reason": "; ".join(decision.reasons), **record,
    })  # fmt: skip
    print(f"verdict: {decision.verdict}: {'; '.join(decision.reasons)}")


if __name__ == "__main__":
    sys.exit(exit_code(evaluate))
