import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import checkerboard as board
import numpy as np
import pytest
import torch
from checkerboard import ROOT
from dataset import TrainingError
from device import Machine, chosen
from group import Group, Place, place
from hypothesis import given
from hypothesis import strategies as st
from model_contract import checkerboard
from models import fit
from resident import Resident
from run import Run
from settings import Settings

HOSTS = ["127.0.0.1", "127.0.0.2"]
GPU_LIKE = Machine("cpu", torch.bfloat16, resident=True)  # what a GPU does, but for the GPU


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board.prepared(tmp_path_factory.mktemp("board"))


def start(arguments: Callable[[int], list[str]]) -> list[subprocess.Popen[str]]:
    """A training process for each of two machines, as SageMaker starts them."""
    return start_programs(lambda rank: [str(ROOT / "training_code" / "train.py"), *arguments(rank)])


def start_programs(programs: Callable[[int], list[str]]) -> list[subprocess.Popen[str]]:
    """A Python process for each of two machines that know each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        "SM_HOSTS": json.dumps(HOSTS),
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("training_code", "tests/training_code", ".")),
    }
    return [
        subprocess.Popen(
            [sys.executable, "-u", *programs(rank)],
            env={**variables, "SM_CURRENT_HOST": host},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank, host in enumerate(HOSTS)
    ]  # fmt: skip


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and error output of each."""
    outputs = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def arguments(prepared: Path, model_dir: Path, *more: str) -> list[str]:
    given = [part for name, value in {**board.SMALL, **board.HYPERPARAMETERS["neumf"]}.items()
             for part in (f"--{name}", str(value))]  # fmt: skip
    return ["--train-dir", str(prepared / "train"), "--model-dir", str(model_dir), *given, *more]


def test_two_machines_learn_what_one_does_and_the_first_writes_the_archives(prepared: Path, tmp_path: Path):
    models = ("--models", "neumf,als", "--epochs", "6")
    processes = start(lambda rank: arguments(prepared, tmp_path / str(rank), *models))
    (first, out, err), (second, quiet, also) = ended(processes)
    assert (first, second, err, also) == (0, 0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert "neumf epoch 6" in out
    assert "epoch" not in quiet
    neumf, als = (
        json.loads((board.unpacked(tmp_path / "0" / f"{name}.tar.gz", tmp_path / name) / "manifest.json").read_text())
        for name in ("neumf", "als")
    )
    alone = fit(
        "neumf", checkerboard(), Settings(**{**board.SMALL, **board.HYPERPARAMETERS["neumf"], "epochs": 6})
    ).quality
    assert neumf["validation"]["hr@10"] == pytest.approx(alone.hr, abs=0.05)
    assert als["validation"]["hr@10"] == 1.0


TOGETHER = """
import hashlib, os, torch, checkerboard as board
from group import joined, place
from model_contract import checkerboard
from models import fit
from run import Run
from settings import Settings
with joined(place(os.environ), "cpu") as group:
    averaged, agreed = [torch.tensor([group.rank, 3.0]), torch.tensor(group.rank * 2.0)], [torch.tensor([group.rank])]
    group.average(averaged)
    group.agree(agreed)
    said = group.of_first(lambda: b"from %d" % group.rank, "cpu"), group.of_first(lambda: b"", "cpu")
    given = Settings(**{**board.SMALL, **board.HYPERPARAMETERS["mlp"], "dropout": 0.1})
    found = fit("mlp", checkerboard(), given, run=Run(group=group))
    print(averaged, agreed, said, hashlib.sha256(found.model.mlp_users.tobytes()).hexdigest(), found.curves)
"""


def test_two_machines_hold_the_same_weights_after_every_step():
    (_, first, err), (_, second, _) = ended(start_programs(lambda rank: ["-c", TOGETHER]))
    assert first == second, err
    assert first.startswith("[tensor([0.5000, 3.0000]), tensor(1.)] [tensor([0])] (b'from 0', b'')")


def test_when_one_machine_is_taken_away_the_other_fails_too(prepared: Path, tmp_path: Path):
    long = ("--epochs", "10000", "--models", "neumf")
    processes = start(lambda rank: arguments(prepared, tmp_path / str(rank), *long))
    assert any("neumf epoch 2:" in line for line in processes[0].stdout)
    processes[1].send_signal(signal.SIGKILL)
    (code, _, err), (killed, _, _) = ended(processes)
    assert (code, killed) == (1, -signal.SIGKILL)
    assert err == "error: another machine has stopped: its log says why\n"
    assert not (tmp_path / "0").exists()


def test_all_machines_fail_with_the_reason_of_the_one_that_failed(prepared: Path, tmp_path: Path):
    folders = [prepared / "train", tmp_path / "nowhere"]
    given = ("--models", "neumf")
    processes = start(
        lambda rank: [*arguments(prepared, tmp_path / "model", *given), "--train-dir", str(folders[rank])]
    )
    (first, _, err), (second, _, own) = ended(processes)
    assert (first, second) == (1, 1)
    assert own.startswith(f"error: {tmp_path / 'nowhere'}: not a training channel")
    assert err.startswith(f"error: another machine has stopped: {tmp_path / 'nowhere'}: not a training channel")
    assert err.endswith("(rank 1)\n")


@pytest.mark.heavy
def test_all_machines_fail_with_the_reason_of_the_master(prepared: Path, tmp_path: Path):
    folders = [tmp_path / "nowhere", prepared / "train"]
    processes = start(lambda rank: [*arguments(prepared, tmp_path / "model"), "--train-dir", str(folders[rank])])
    (first, _, own), (second, _, err) = ended(processes)
    assert (first, second) == (1, 1)
    assert own.startswith(f"error: {tmp_path / 'nowhere'}: not a training channel")
    assert err.endswith("(rank 0)\n")


@pytest.mark.heavy
def test_machines_with_different_data_refuse_to_train(prepared: Path, tmp_path: Path):
    weeks = [board.table(board.rows()[:-2])]
    (tmp_path / "other").mkdir()
    board.write_partitions(tmp_path / "other", weeks)
    done = board.run(ROOT / "processing_code" / "prepare.py", board.prepare_arguments(tmp_path / "other"))
    assert done.returncode == 0
    folders = [prepared / "train", tmp_path / "other" / "train"]
    processes = start(lambda rank: [*arguments(prepared, tmp_path / "model"), "--train-dir", str(folders[rank])])
    (first, _, err), (second, _, own) = ended(processes)
    assert (first, second) == (1, 1)
    assert "the machines have different data; FullyReplicated would be right" in own
    assert "the machines have different data" in err


@pytest.mark.heavy
def test_a_group_that_was_killed_goes_on_to_the_same_bytes(prepared: Path, tmp_path: Path):
    given = ("--models", "neumf", "--dropout", "0.1")

    def job(where: str) -> list[subprocess.Popen[str]]:
        more = [("--checkpoint-dir", str(tmp_path / where / f"at-{rank}")) for rank in range(2)]
        return start(lambda rank: arguments(prepared, tmp_path / where / str(rank), *given, *more[rank]))

    assert [code for code, _, _ in ended(job("whole"))] == [0, 0]
    processes = job("killed")
    assert any("neumf epoch 7:" in line for line in processes[0].stdout)
    for process in processes:
        process.kill()
    ended(processes)
    (code, out, _), _ = ended(job("killed"))
    assert code == 0
    assert "goes on after epoch" in out
    whole, killed = ((tmp_path / where / "0" / "neumf.tar.gz").read_bytes() for where in ("whole", "killed"))
    assert whole == killed


def test_the_place_is_what_sagemaker_says():
    hosts = json.dumps(["algo-1", "algo-2"])
    named = {"SM_HOSTS": hosts, "SM_CURRENT_HOST": "algo-2", "SM_NETWORK_INTERFACE_NAME": "eth0"}
    assert place(named) == Place(1, 2, "algo-1", 7777, "eth0")
    assert place({"SM_HOSTS": json.dumps(["algo-1"]), "SM_CURRENT_HOST": "algo-1"}) == Place()
    assert place({}) == Place()
    with pytest.raises(TrainingError, match="SM_CURRENT_HOST: 'algo-3' is not in SM_HOSTS; right is one of algo-1, al"):
        place({**named, "SM_CURRENT_HOST": "algo-3"})


def test_torchrun_goes_before_sagemaker():
    torchrun = {"RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29500"}
    assert place({**torchrun, "SM_HOSTS": '["algo-1", "algo-2"]'}) == Place(2, 4, "10.0.0.7", 29500)


@given(count=st.integers(1, 1000), size=st.integers(1, 16))
def test_shares_are_as_long_as_each_other_and_leave_nothing_out(count: int, size: int):
    shares = [Group(rank, size).share(count) for rank in range(size)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(set(np.concatenate(shares).tolist())) == list(range(count))
    assert sum(len(share) for share in shares) - count < size


def test_what_runs_on_a_gpu_learns_the_board_on_the_cpu_too():
    given = Settings(**{**board.SMALL, **board.HYPERPARAMETERS["mlp"]})
    fits = [fit("mlp", checkerboard(), given, run=Run(GPU_LIKE)) for _ in range(2)]
    assert fits[0].quality.hr == 1.0
    scores = [one.model.score(np.arange(board.SIZE)) for one in fits]
    assert (scores[0] == scores[1]).all()


@pytest.mark.parametrize("sampling", ["global", "class"])
def test_negatives_drawn_on_the_device_are_those_that_may_be_drawn(sampling: str):
    data = replace(checkerboard(), category=["even", "odd"] * (board.SIZE // 2))
    more = np.repeat(np.arange(3), board.SIZE), np.tile(np.arange(board.SIZE), 3)  # three users have taken everything
    everything = replace(data, user=np.append(data.user, more[0] + board.SIZE), item=np.append(data.item, more[1]))
    everything = replace(everything, users=[str(user) for user in range(board.SIZE + 3)])
    given = Settings(num_ng=50, sampling=sampling)
    draw = Resident(everything, given, Run(GPU_LIKE))
    users, items = draw(np.random.default_rng(1), 0)
    assert sorted(zip(users.tolist(), items[:, 0].tolist(), strict=True)) == sorted(
        zip(everything.user.tolist(), everything.item.tolist(), strict=True)
    )
    drawn = items[:, 1:][users < board.SIZE]
    owners = users[users < board.SIZE, None].expand(drawn.shape)
    pairs = set(zip(owners.flatten().tolist(), drawn.flatten().tolist(), strict=True))
    assert not pairs & set(zip(data.user.tolist(), data.item.tolist(), strict=True))
    assert len(pairs) == board.SIZE + board.SIZE**2 // 2  # all that is left, and each user's own item is of that
    own = float((drawn == owners).float().mean())  # the only one left of a category
    assert own > 0.7 if sampling == "class" else own < 0.1
    again, _ = draw(np.random.default_rng(2), 0)
    later, _ = draw(np.random.default_rng(1), 1)
    assert again.tolist() == users.tolist() != later.tolist()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named():
    assert chosen("auto") == chosen("cpu") == Machine()
    with pytest.raises(TrainingError, match="--device: cuda, but there is no GPU here"):
        chosen("cuda")
