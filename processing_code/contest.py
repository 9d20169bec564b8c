"""Who is measured: the models of a training job, one of them proposed, the champion, and the tuned baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baselines import Fitted, tune
from candidates import Candidates, propose, read_candidates
from channels import Data
from leakage import leak
from model_archive import ModelArchive, Scorer, read_archive, scorer
from problems import ProcessingError

NO_CHAMPION = "NONE"
CHAMPION = "the champion"


@dataclass(frozen=True)
class Champion:
    """The champion's archive if there is one, and why it cannot be compared if it cannot."""

    archive: ModelArchive | None
    doubt: str | None = None


@dataclass(frozen=True)
class Contest:
    """The candidates and which is proposed, the champion, the baselines, and why others were skipped."""

    candidates: Candidates
    proposed: str
    champion: Champion
    fitted: Mapping[str, Fitted]
    skipped: Mapping[str, str]

    @property
    def archive(self) -> ModelArchive:
        """The proposed model's."""
        return self.candidates.archives[self.proposed]

    def scorers(self, data: Data) -> dict[str, Scorer]:
        """How each contestant scores: models by name, `baseline <name>`, and `the champion` if it can be compared."""
        users, items = data.train.users, data.train.items
        found = {name: scorer(archive, users, items) for name, archive in self.candidates.archives.items()}
        if self.champion.archive is not None and self.champion.doubt is None:
            found[CHAMPION] = scorer(self.champion.archive, users, items)
        return found | {baseline(name): one.score for name, one in self.fitted.items()}

    def doubts(self, data: Data) -> tuple[str, ...]:
        """Why the numbers could not be trusted."""
        vocabulary = self.archive.users == data.train.users and self.archive.items == data.train.items
        found = leak(self.archive, data)
        every = (
            None if vocabulary else "the archive's users or items are not those of the training data",
            found and f"the archive's {found}",
            self.champion.doubt,
        )
        return tuple(doubt for doubt in every if doubt)


def baseline(name: str) -> str:
    """A baseline among the contestants: no model's name has a blank, and some models are of the same kind."""
    return f"baseline {name}"


def is_opponent(name: str) -> bool:
    """Whether the proposed model is compared with it: with the champion and baselines, not with its kin."""
    return " " in name


def gather(model: Path, champion: Path | None, data: Data, metric: str, seed: int) -> Contest:
    """Read the archives and fit the baselines. Raises ProcessingError when the candidates cannot be read."""
    candidates = read_candidates(model / "model.tar.gz")
    proposed = propose(candidates.archives, metric)
    return Contest(candidates, proposed, read_champion(champion, data), *tune(data.train, metric, seed))


def read_champion(folder: Path | None, data: Data) -> Champion:
    """The champion to score on the same holdout. One that cannot be compared fairly is a doubt, never a silence."""
    if folder is None or (folder / NO_CHAMPION).is_file():
        return Champion(None)
    try:
        archive = read_archive(folder / "model.tar.gz")
    except ProcessingError as error:
        return Champion(None, f"the champion cannot be read: {error}")
    found = leak(archive, data)
    return Champion(archive, found and f"the champion's {found}")
