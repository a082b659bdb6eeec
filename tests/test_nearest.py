"""Kinds of indexes against a matrix product; the index of instances, saved with its model."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from conftest import TASKS, WORDS

from pha_lite.errors import PHAError
from pha_lite.model import PHAModel
from pha_lite.nearest import (
    OPTIONS,
    check_options,
    from_tensor,
    nearest_index,
    search,
    to_tensor,
)
from pha_lite.retriever import InstanceIndex
from pha_lite.saving import INSTANCES

KINDS = list(OPTIONS)


@pytest.fixture(scope="module")
def clouds():
    """2000 unit vectors around 50 centres, and 200 queries from the same clouds."""
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(50, 16, generator=draw)
    points = centres.repeat(44, 1) + 0.5 * torch.randn(2200, 16, generator=draw)
    return F.normalize(points, dim=1).split([2000, 200])


def test_flat_is_a_matrix_product(clouds):
    known, asked = clouds
    cosines, rows = search(nearest_index(known), asked, 5)
    want = (asked @ known.t()).topk(5)
    torch.testing.assert_close(cosines, want.values, atol=1e-6, rtol=0)
    torch.testing.assert_close((asked.unsqueeze(1) * known[rows]).sum(dim=2), want.values)


def test_all_cells_are_an_exact_search(clouds):
    known, asked = clouds
    exact = search(nearest_index(known), asked, 5)
    got = search(nearest_index(known, "ivf", nlist=20, nprobe=20), asked, 5)
    torch.testing.assert_close(got[0], exact[0])
    assert torch.equal(got[1], exact[1])
    fewer = search(nearest_index(known, "ivf", nlist=20, nprobe=1), asked, 5)[1]
    assert not torch.equal(fewer, exact[1])  # a single cell is no exact search


def test_links_find_the_nearest(clouds):
    known, asked = clouds
    exact = search(nearest_index(known), asked, 1)[1]
    good = search(nearest_index(known, "hnsw"), asked, 1)[1]
    poor = search(nearest_index(known, "hnsw", M=2, ef_construction=2, ef_search=1), asked, 1)[1]
    recalls = [(rows == exact).float().mean().item() for rows in (good, poor)]
    assert recalls[0] > 0.97 > recalls[1], recalls


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_give_the_same_index(clouds, kind):
    known, asked = clouds
    index = nearest_index(known, kind)
    again = from_tensor(to_tensor(index))
    for ours, theirs in zip(search(index, asked, 8), search(again, asked, 8), strict=True):
        assert torch.equal(ours, theirs)


def test_foreign_bytes_are_refused():
    with pytest.raises(PHAError, match="index again"):
        from_tensor(torch.arange(40, dtype=torch.uint8))


def test_defaults_follow_the_number_of_vectors():
    assert check_options("ivf", 1_000_000, {}) == {"nlist": 1000, "nprobe": 16}
    assert check_options("ivf", 200, {}) == {"nlist": 5, "nprobe": 5}
    assert check_options("ivf", 3, {}) == {"nlist": 1, "nprobe": 1}
    assert check_options("ivf", 9, {"nlist": 4, "nprobe": None}) == {"nlist": 4, "nprobe": 4}
    assert check_options("hnsw", 9, {"M": 8})["M"] == 8 and check_options("flat", 9, {}) == {}


def test_options_reach_the_index(clouds):
    ivf = nearest_index(clouds[0], "ivf", nlist=7, nprobe=3)
    assert (ivf.nlist, ivf.nprobe) == (7, 3)
    net = nearest_index(clouds[0], "hnsw", M=6, ef_construction=11, ef_search=13)
    assert net.hnsw.nb_neighbors(1) == 6
    assert (net.hnsw.efConstruction, net.hnsw.efSearch) == (11, 13)


def test_small_cells_are_no_warning_on_the_terminal(clouds, capfd):
    nearest_index(clouds[0][:30], "ivf", nlist=10)
    assert "WARNING" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("hsnw", {}, "unknown kind of index 'hsnw': did you mean 'hnsw'"),
        ("flat", {"nprobe": 2}, "unknown option of kind='flat' 'nprobe'"),
        ("hnsw", {"ef": 2}, "unknown option of kind='hnsw' 'ef'.*ef_search"),
        ("ivf", {"nlist": 21}, "nlist=21 cells for 20 vectors"),
        ("ivf", {"nlist": 4, "nprobe": 5}, "nprobe=5: there are only 4 cells"),
        ("ivf", {"nlist": "4"}, "nlist='4': give a whole number"),
        ("ivf", {"nprobe": 0}, "nprobe=0"),
        ("hnsw", {"M": 1}, "M=1: give a whole number of at least 2"),
        ("hnsw", {"ef_search": True}, "ef_search=True"),
    ],
)
def test_bad_requests_are_named(kind, options, message):
    with pytest.raises(PHAError, match=message):
        nearest_index(torch.eye(20), kind, **options)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(PHAError, match="finite"):
        nearest_index(torch.full((2, 2), torch.nan))


# ---- instances --------------------------------------------------------------------------------


def test_neighbours_that_are_not_found_have_no_vote():
    """Two cells of eight vectors each, of which one is looked at: eight neighbours, not sixteen."""
    spread = 0.1 * torch.linspace(-1, 1, 8)
    known = torch.cat(
        [
            torch.stack([torch.ones(8), spread], dim=1),
            torch.stack([spread, torch.ones(8)], dim=1),
        ]
    )
    names = ["a"] * 6 + ["b"] * 2 + ["c"] * 8
    index = InstanceIndex(known, names, "ivf", nlist=2, nprobe=1)
    z = torch.tensor([[1.0, 0.0]])
    assert (search(index.index, z, 16)[1] >= 0).sum() == 8
    assert index.scores(z, "vote").tolist() == [0.75, 0.25, 0.0]
    soft = index.scores(z, "softmax")
    assert soft.sum().item() == pytest.approx(1) and soft[2] == 0


TEXTS = [f"{word} {other}" for word in WORDS[:8] for other in WORDS[8:14]]
NAMES = [TASKS[i % 3] for i in range(len(TEXTS))]
ASKED = ["good film", "the hotel was cold", "rain"]


@pytest.mark.parametrize(
    ("kind", "options"), [("flat", {}), ("ivf", {"nlist": 6, "nprobe": 2}), ("hnsw", {"M": 4})]
)
def test_an_index_is_saved_with_its_model(build, backbone, tmp_path, kind, options):
    model = build()
    model.index_instances(TEXTS, NAMES, kind, **options)
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = PHAModel.from_pretrained(tmp_path, backbone=backbone)
    assert (loaded.instances.kind, loaded.instances.names) == (kind, TASKS)
    for reduce in ("mean", "vote", "softmax"):
        want = model.retrieve(ASKED, 3, "instances", reduce)
        assert loaded.retrieve(ASKED, 3, "instances", reduce) == want
    loaded.save_pretrained(tmp_path / "again")
    first, second = (folder / INSTANCES for folder in (tmp_path, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


def test_an_index_made_by_hand_is_saved_too(build, backbone, tmp_path):
    model = build()
    model.instances = InstanceIndex(model.embed(TEXTS), NAMES)
    model.save_pretrained(tmp_path)
    loaded = PHAModel.from_pretrained(tmp_path, backbone=backbone)
    assert loaded.instances.names == TASKS


def wake_part(part):
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.1)


@pytest.mark.parametrize("part", ["retriever", "encoder"])
def test_an_index_of_another_space_is_left_aside(build, backbone, tmp_path, part):
    model = build()
    model.index_instances(TEXTS, NAMES)
    wake_part(getattr(model.trained, part))
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="instances.safetensors is left aside") as caught:
        loaded = PHAModel.from_pretrained(tmp_path, backbone=backbone)
    assert caught[0].filename == __file__  # it points at the caller's line
    with pytest.raises(PHAError, match="call index_instances"):
        loaded.retrieve(ASKED, by="instances")


def test_what_tasks_own_may_change(build, backbone, tmp_path):
    model = build()
    model.index_instances(TEXTS, NAMES)
    wake_part(model.trained.prototypes)
    wake_part(model.trained.hypernet)
    model.add_task("later")
    model.save_pretrained(tmp_path)
    assert PHAModel.from_pretrained(tmp_path, backbone=backbone).instances is not None


def test_a_model_without_an_index_leaves_none_behind(build, tmp_path):
    model = build()
    model.index_instances(TEXTS, NAMES)
    model.save_pretrained(tmp_path)
    assert (tmp_path / INSTANCES).is_file()
    build().save_pretrained(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_a_damaged_index_is_refused(build, backbone, tmp_path, damage):
    model = build()
    model.index_instances(TEXTS, NAMES, "hnsw")
    model.save_pretrained(tmp_path)
    path = tmp_path / INSTANCES
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content if damage == "bit" else content[:-9])
    with pytest.raises(PHAError, match="instances.safetensors (was changed|is cut off)"):
        PHAModel.from_pretrained(tmp_path, backbone=backbone)
