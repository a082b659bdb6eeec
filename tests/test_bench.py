"""`pha bench`: its contenders compute the same thing. How long they take is no test's business."""

from __future__ import annotations

import json

import pytest
import torch

from pha_lite import bench, cli
from pha_lite.errors import PHAError

SMALL = bench.Setting(size="tiny", batch=6, source=5, target=3, tasks=3, new_tokens=4, rows=6)


@pytest.fixture(scope="module")
def made():
    return bench.Bench(SMALL)


def strong(model):
    """Heads far from zero, so that a wrong adapter would show."""
    torch.manual_seed(1)
    for head in (model.trained.hypernet.up, model.trained.hypernet.down):
        torch.nn.init.normal_(head.weight, std=0.1)
    return model.eval()


def test_the_released_way_gives_the_same_logits_and_gradients(made):
    model = strong(made.model())
    ours = model(made.batch)
    ours.loss.backward()
    grads = {name: weight.grad.clone() for name, weight in model.adapter_parameters()}
    model.zero_grad()
    with bench.per_row(model, made.batch["task_ids"]):
        theirs = model(made.batch)
        theirs.loss.backward()
    torch.testing.assert_close(theirs.logits, ours.logits, rtol=1e-4, atol=1e-5)
    for name, weight in model.adapter_parameters():
        torch.testing.assert_close(weight.grad, grads[name], rtol=1e-3, atol=1e-5, msg=name)
    model.zero_grad()
    again = model(made.batch)
    assert torch.equal(again.logits, ours.logits), "the context has left nothing behind"


def test_without_adapters_the_logits_would_differ(made):
    model = strong(made.model())
    ours = model(made.batch).logits
    other = {**made.batch, "task_ids": made.batch["task_ids"].roll(1)}
    assert not torch.allclose(model(other).logits, ours, atol=1e-3)


def test_rows_of_adapters_are_the_hypernetworks(made):
    from pha_lite.adapter import bottleneck
    from pha_lite.routing import Route

    net = strong(made.model()).trained.hypernet
    vectors, x = torch.randn(4, 64), torch.randn(4, 3, 64)
    for layer, weights in enumerate(net(vectors).unbind()):
        wanted = bottleneck(x, weights, Route.of_rows(4))
        found = bench.rows_of_adapters(net, vectors, layer, x)
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_decoding_makes_adapters_once_and_the_released_way_at_every_step(made, monkeypatch):
    model = strong(made.model())
    calls = []
    hook = model.trained.hypernet.first.register_forward_hook(lambda *a: calls.append(1))
    ours = made._decode_model(model, made.batch["task_ids"])()
    assert len(calls) == 1
    calls.clear()
    with bench.per_row(model, made.batch["task_ids"]):
        theirs = made._decode_model(model, made.batch["task_ids"])()
    hook.remove()
    layers = len(made.t5.decoder.block)
    assert len(calls) == layers * SMALL.new_tokens
    assert torch.equal(ours, theirs) and ours.shape == (6, 1 + SMALL.new_tokens)


def test_the_limit_reaches_the_first_layer_and_trains_nothing(made):
    work = made.training()["limit"]()
    work()
    assert all(weight.grad is None for weight in made.t5.parameters())
    assert not made.t5.encoder.block[0].layer[-1]._forward_hooks


def test_all_contenders_run_and_are_compared_with_the_mark():
    found = bench.run(SMALL, list(bench.GROUPS), 2, 1, progress=False, memory=False)
    for group, mark in bench.GROUPS.items():
        assert found[group][mark]["ratio"] == 1.0 and len(found[group]) >= 2
    with pytest.raises(PHAError, match="decodin"):
        bench.run(SMALL, ["decodin"], 2, 1, progress=False, memory=False)


def test_command_writes_a_record(tmp_path, capsys):
    path = tmp_path / "bench.json"
    given = ["bench", "--size", "tiny", "--batch", "2", "--source", "4", "--rounds", "2"]
    given += ["--groups", "generating", "--rows", "4", "--output", str(path)]
    assert cli.main([*given, "--json"]) == 0
    shown, written = json.loads(capsys.readouterr().out), json.loads(path.read_text())
    assert shown == written and written["settings"]["rows"] == 4 and written["threads"] == 1
    assert written["groups"]["generating"]["per row, as released"]["peak_mib"] > 0
    assert cli.main(["bench", "--size", "huge"]) == 2
    assert "huge" in capsys.readouterr().err
