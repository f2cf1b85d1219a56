"""One process or two: the same losses, and either goes on where the other stopped."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_training import MODEL, setting, tones

from sep_helpers import checkpoints, hardware
from sep_helpers.models import build
from sep_helpers.training import Settings, TrainingError, fit

SETTINGS = Settings(epochs=2, batch=4, accumulate=2, learning_rate=1e-2, warmup=2, save_every=1,
                    save_share=1.0)
SHORT = replace(SETTINGS, max_minutes=0.0)              # leaves after one update
ROOT = Path(__file__).resolve().parents[1]


class WithDeadWeights(torch.nn.Module):
    """A separator with weights that no output depends on, as a last block's residual output."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.dead = build(MODEL), torch.nn.Linear(4, 4)
        self.config = self.inner.config

    def forward(self, mixture):
        return self.inner(mixture)


def train(corpus, folder, settings=SETTINGS, device="cpu", say=lambda line: None):
    _, *data = setting(Path(corpus), n_mixtures=16)
    model = WithDeadWeights()
    return fit(model, *data, settings, folder, device, say=say), model


TWO = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import torch
torch.set_num_threads(1)
from test_hardware import SETTINGS, SHORT, TrainingError, replace, train
corpus, folder = sys.argv[1:]
train(corpus, folder + "/two")
train(corpus, folder + "/begun_by_two", SHORT, device=None)
train(corpus, folder + "/begun_by_one")
try:
    train(corpus, folder + "/odd", replace(SETTINGS, batch=1))
except TrainingError as error:
    print(error, flush=True)
"""


def launch(script, *arguments):
    """A script in two processes, started as `accelerate launch` starts one on every GPU.

    (With --cpu it would start a single one: several need MPI there.)
    """
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         script, *map(str, arguments)], capture_output=True, text=True, timeout=240)


def test_two_processes_train_as_one_and_take_over_from_each_other(tmp_path):
    corpus = tones(tmp_path / "tones")
    one, model = train(corpus, tmp_path / "one")
    train(corpus, tmp_path / "begun_by_one", SHORT)
    script = tmp_path / "two.py"
    script.write_text(TWO.format(root=str(ROOT), tests=str(ROOT / "tests")))
    done = launch(script, corpus, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 processes cannot share a batch of 1: choose a multiple of 2" in done.stdout
    assert checkpoints.load(tmp_path / "begun_by_two/last.pt")["step"] == 2
    for name in ("two", "begun_by_two"):                # the latter on whatever was found
        assert len(checkpoints.load(tmp_path / name / "last.pt")["rng"]) == 2
    by_two, _ = train(corpus, tmp_path / "begun_by_two")           # one goes on
    for name in ("two", "begun_by_one", "begun_by_two"):
        state = checkpoints.load(tmp_path / name / "last.pt")
        rows = state["history"]
        for key in ("train_si_snr", "train_loss", "val_si_snr", "grad_norm"):
            assert np.allclose([row[key] for row in rows], one[key], atol=1e-5, rtol=1e-5), (
                name, key, [row[key] for row in rows], one[key])
        for key, weight in model.state_dict().items():
            assert torch.allclose(state["model"][key], weight, atol=1e-5)


def test_dead_weights_are_found_and_nothing_else_changes():
    model, before = WithDeadWeights(), torch.get_rng_state()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    found = hardware.without_gradient(model, torch.randn(1, 2000, generator=torch.Generator()))
    assert found == ["dead.weight", "dead.bias"]
    assert hardware.without_gradient(build(MODEL), torch.ones(1, 2000)) == []
    torch.manual_seed(0)
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and len(before)


# --- 16 bits

def gpu(monkeypatch, capability):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla T4")
    return torch.device("cuda")


@pytest.mark.parametrize("asked, capability, chosen", [
    ("float32", (7, 5), "no"), ("auto", (7, 5), "fp16"), ("fp16", (7, 5), "fp16"),
    ("bf16", (7, 5), "fp16"), ("auto", (8, 0), "bf16"), ("fp16", (9, 0), "fp16"),
    ("bf16", (8, 6), "bf16")])
def test_a_t4_never_gets_bf16(monkeypatch, asked, capability, chosen):
    said = []
    assert hardware.choose_precision(asked, gpu(monkeypatch, capability), said.append) == chosen
    assert bool(said) == (asked == "bf16" and chosen == "fp16")


@pytest.mark.parametrize("asked", ["float32", "auto", "fp16", "bf16"])
def test_a_cpu_computes_in_float32(asked):
    said = []
    assert hardware.choose_precision(asked, torch.device("cpu"), said.append) == "no"
    assert bool(said) == (asked in ("fp16", "bf16"))


@pytest.mark.parametrize("norm", ["gLN", "cLN", "BN"])
def test_norms_see_float32_and_the_loss_stays_near(norm):
    torch.manual_seed(0)
    model = build({**MODEL, "norm": norm})
    mixture = 300 * torch.randn(2, 2000)                    # squares beyond fp16's 65,504
    exact = model(mixture)
    seen, kinds = [], tuple(hardware.NORMS.values())
    hooks = hardware.keep_norms_in_float32(model)
    for module in model.modules():
        if isinstance(module, kinds):
            module.register_forward_pre_hook(lambda m, args: seen.append(args[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        near = model(mixture).float()
    assert set(seen) == {torch.float32} and near.isfinite().all()
    assert (near - exact).square().sum() < 0.01 * exact.square().sum()
    assert len(hooks) == len(seen)


def test_a_training_in_16_bits_is_resumed_to_the_bit(tmp_path, monkeypatch):
    """bf16 autocast on the CPU stands in for a GPU's: the same hooks, wrappers and clean-up."""
    monkeypatch.setattr(hardware, "choose_precision", lambda *_: "bf16")
    corpus = tones(tmp_path / "tones")
    exact, model = train(corpus, tmp_path / "whole")
    train(corpus, tmp_path / "parts", SHORT)
    again, other = train(corpus, tmp_path / "parts")
    assert again["train_si_snr"].equals(exact["train_si_snr"])
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b) and a.dtype == torch.float32
    assert "forward" not in model.__dict__
    monkeypatch.setattr(hardware, "choose_precision", lambda *_: "no")
    full, _ = train(corpus, tmp_path / "full")              # in the same process, another precision
    assert not full["train_si_snr"].equals(exact["train_si_snr"])
    assert np.allclose(full["train_si_snr"], exact["train_si_snr"], atol=1.0)


def test_a_scalers_state_travels_through_a_machine_without_one(tmp_path):
    """A Colab run (fp16) that spends an epoch on a CPU comes back to its own scale."""
    from accelerate import Accelerator

    from sep_helpers.trainer import Trainer

    def trainer(scaler):
        accelerator = Accelerator(cpu=True)
        accelerator.scaler = scaler
        return Trainer(WithDeadWeights(), SETTINGS, 4, accelerator)
    gpu_like = trainer(torch.amp.GradScaler("cpu", init_scale=2.0**9))
    state = gpu_like.state()
    on_cpu = trainer(None)
    on_cpu.restore(state)
    back = trainer(torch.amp.GradScaler("cpu"))
    back.restore(on_cpu.state())
    assert back.accelerator.scaler.get_scale() == 2.0**9


def test_the_main_process_decides_for_all():
    alone = SimpleNamespace(num_processes=1)
    assert hardware.together(alone, lambda: 3) == 3
    with pytest.raises(TrainingError):
        hardware.together(alone, lambda: (_ for _ in ()).throw(TrainingError("x")))
    assert [hardware.share(6, 3, rank) for rank in range(3)] == [slice(0, 2), slice(2, 4),
                                                                slice(4, 6)]
