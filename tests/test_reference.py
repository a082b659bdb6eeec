"""The reference pages: what they name exists, what they state comes from the code."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from conftest import load

import pha_lite
from pha_lite.losses import instance_loss
from pha_lite.model import PHAModel
from pha_lite.routing import Route

yaml = pytest.importorskip("yaml", reason="the book's tools are not installed: pip install .[book]")

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
API = sorted((BOOK / "api").glob("*.md"))
PAGES = [BOOK / f"{name}.md" for name in ("notation", "glossary", "paper_map", "api", "run_times")]
ALL = [*BOOK.glob("*.md"), *API, *(BOOK / "chapters").glob("*.py")]
# Words that chapters use without an explanation of their own.
EXPECTED = """adapter, prototype, hypernetwork, retriever, instance embedding, rule, surface,
swap test, frozen, few-shot, InfoNCE, temperature, bottleneck, task embedding, layer embedding,
episode, chance, hook, backbone, label word, text-to-text, validation, interval, contrastive loss,
negative, oracle start, fresh start, bake, rival, related half, conflicting half"""


reference = load("reference", ROOT / "tools" / "reference.py")


def find(name: str):
    """The object behind a dotted name; AttributeError or ImportError when there is none."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def classes() -> dict[str, type]:
    """Every class of the package by its short name."""
    found = {}
    for path in (ROOT / "pha_lite").glob("[!_]*.py"):
        module = import_module(f"pha_lite.{path.stem}")
        for name, thing in inspect.getmembers(module, inspect.isclass):
            if thing.__module__ == module.__name__:
                found[name] = thing
    return found


def has(cls: type, attribute: str) -> bool:
    fields = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    return attribute in fields or hasattr(cls, attribute)


# --- generated parts ------------------------------------------------------------------------------


def test_generated_parts_are_those_of_the_code():
    assert reference.stale() == [], "run make sync"


def test_every_part_has_its_place_and_an_edit_is_noticed(tmp_path):
    for name in reference.PAGES:
        shutil.copy(BOOK / name, tmp_path / name)
    placed = [m["name"] for n in reference.PAGES for m in reference.REGION.finditer(read(BOOK / n))]
    assert sorted(placed) == sorted(reference.PARTS)
    page = tmp_path / "notation.md"
    page.write_text(
        read(page).replace("`PHAConfig.adapter_dim` | 16 ", "`PHAConfig.adapter_dim` | 17 ")
    )
    assert reference.stale(tmp_path) == ["notation.md"]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# --- notation -------------------------------------------------------------------------------------


@pytest.fixture
def model(tiny_t5, small_config) -> PHAModel:
    """All sizes differ, so that no two can be mistaken for each other."""
    return PHAModel.from_backbone(tiny_t5(num_layers=3), small_config(adapter_dim=4))


@pytest.fixture
def letters(model) -> dict[str, int]:
    config, t5 = model.config, model.t5.config
    sizes = {name: getattr(config, name) for name in ("layer_dim", "hyper_hidden", "hyper_out")}
    return sizes | {
        "retriever_hidden": config.retriever_hidden,
        "T": len(config.tasks),
        "K": 2,
        "L": t5.num_decoder_layers,
        "L_enc": t5.num_layers,
        "d": t5.d_model,
        "b": config.adapter_dim,
        "e": config.prototype_dim,
        "B": 5,
        "V": t5.vocab_size,
    }


def shape(words: str, letters: dict[str, int]) -> list[int]:
    return [eval(word, {}, letters) for word in words.split(",")]


def test_what_is_trained_has_the_shapes_of_the_page(model, letters):
    named = set()
    for _, _, path, words in reference.TRAINED:
        assert list(attrgetter(path)(model.trained).shape) == shape(words, letters), path
        named.add(path)
    left_out = {name for name, _ in model.adapter_parameters()} - named
    heads = ("up", "down", "up_bias", "down_bias")
    assert left_out == {f"hypernet.{head}.bias" for head in heads} | {
        "retriever.first.bias",
        "retriever.second.bias",
    }, "the page says which it leaves out"


def test_a_forward_pass_makes_the_shapes_of_the_page(model, letters):
    names = [model.config.tasks[t] for t in (2, 0, 2, 2, 0)]
    batch = model.batch(
        ["a dull film", "the hotel", "a", "team match goal", "law"], ["yes"] * 5, names
    )
    output, route = model(batch), Route.of(batch["task_ids"])
    weights = model.trained.weights(route.tasks)["decoder"]
    made = {f"Route.{name}": getattr(route, name) for name in ("tasks", "group")}
    made |= {f"AdapterWeights.{name}": part for name, part in weights._asdict().items()}
    made |= {f"PHAOutput.{name}": getattr(output, name) for name in ("embeddings", "logits")}
    made |= {f'batch["{name}"]': batch[name] for name in ("input_ids", "task_ids", "labels")}
    letters |= {"S": batch["input_ids"].shape[1], "N": batch["labels"].shape[1]}
    for _, _, words, code in reference.MADE:
        assert list(made[code].shape) == shape(words, letters), code
    assert torch.allclose(output.embeddings.norm(dim=1), torch.ones(5))


def test_sizes_name_what_exists(model):
    for _, _, place, name in reference.SIZES:
        if place == "t5":
            attrgetter(f"t5.config.{name}")(model)
    assert reference.presets()["paper"]["config"].adapter_dim == 64
    assert len(reference.GLUE) == 8


def test_local_names_of_the_page_exist():
    assert "partners" in instance_loss.__code__.co_varnames


# --- names on the pages ---------------------------------------------------------------------------

TARGET = re.compile(r"\{any\}`[^`<]*<([\w.]+)>`")
SPAN = re.compile(r"(?<![`}])`([A-Za-z_]\w*(?:\.\w+)+)(?:\(\))?`")


def outside_regions(text: str) -> str:
    return reference.REGION.sub("", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_every_dotted_name_exists(path):
    known = classes()
    for target in TARGET.findall(read(path)):
        find(target)
    for span in SPAN.findall(outside_regions(read(path))):
        first, *rest = span.split(".")
        if first in ("pha_lite", "torch"):
            find(span)
        elif first == "PHAModel":
            assert rest == ["trained"] or has(PHAModel, rest[0]), span
        else:
            assert len(rest) == 1 and has(known[first], rest[0]), span


def test_the_map_names_the_chapters_and_the_evidence():
    text = read(BOOK / "paper_map.md")
    levels = re.compile(r"paper|released code|our choice")
    tables = re.findall(r"^\| Piece .*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert len(tables) == 4
    for row in "".join(tables).strip().split("\n"):
        piece, code, evidence = (cell.strip() for cell in row.strip("|").split("|"))
        assert TARGET.search(code) and levels.search(evidence), piece
    toc = yaml.safe_load(read(BOOK / "_toc.yml"))
    files = [e["file"] for part in toc["parts"] for e in part["chapters"]]
    named = set(re.findall(r"\{doc\}`([\w/]+)`", text))
    assert named == {name for name in files if name.startswith("chapters/")}


def test_links_between_pages_lead_somewhere():
    for path in [*PAGES, *API, BOOK / "intro.md"]:
        text = re.sub(r"^```.*?^```", "", read(path), flags=re.MULTILINE | re.DOTALL)
        links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"\{doc\}`([\w/]+)`", text)
        for link in links:
            where = path.parent / link
            ends = (".md", ".ipynb", ".py")
            assert any(where.with_name(where.name + end).is_file() for end in ends), (path, link)


# --- glossary -------------------------------------------------------------------------------------


def glossary() -> dict[str, str]:
    found = {}
    for block in re.findall(
        r"^```\{glossary\}\n(.*?)^```", read(BOOK / "glossary.md"), re.M | re.S
    ):
        for entry in re.split(r"\n(?=\S)", block.strip()):
            term, text = entry.split("\n", 1)
            assert term not in found, f"{term} stands twice"
            found[term] = " ".join(text.split())
    return found


def test_the_glossary_has_the_words_of_the_chapters():
    expected = {" ".join(word.split()) for word in EXPECTED.split(",")}
    assert expected <= set(glossary())
    for term, text in glossary().items():
        assert text.endswith("."), term
        assert 1 <= len(re.findall(r"\.(?: |$)", text)) <= 5, f"{term}: a few sentences"


def test_every_term_that_a_page_uses_is_in_the_glossary():
    known = {term.lower() for term in glossary()}
    for path in ALL:
        text = re.sub(r"\n# ?", " ", read(path)) if path.suffix == ".py" else read(path)
        for body in re.findall(r"\{term\}`([^`]+)`", text):
            match = re.search(r"<([^<>]+)>$", body)
            term = " ".join((match[1] if match else body).split())
            assert term.lower() in known, f"{path.name}: {term}"


# --- API pages ------------------------------------------------------------------------------------

DIRECTIVE = re.compile(
    r"^\.\. auto(?P<kind>\w+):: (?P<name>[\w.]+)\n(?P<options>(?:   :.*\n)*)", re.M
)


def documented() -> list[str]:
    """Names of all functions and classes that the API pages ask autodoc for."""
    names = []
    for path in API:
        for match in DIRECTIVE.finditer(read(path)):
            thing = find(match["name"])
            if match["kind"] != "module":
                names.append(match["name"])
                continue
            members = re.search(r":members:(.*)", match["options"])
            if members and members[1].strip():
                names += [f"{match['name']}.{m.strip()}" for m in members[1].split(",")]
            elif members:
                own = [
                    name
                    for name, part in vars(thing).items()
                    if getattr(part, "__module__", None) == match["name"]
                    and not name.startswith("_")
                ]
                names += [
                    f"{match['name']}.{name}"
                    for name in own
                    if find(match["name"] + "." + name).__doc__
                ]
    return names


def test_the_api_documents_each_public_name_once():
    names = documented()
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    for name in names:
        assert inspect.getdoc(find(name)), f"{name} has no docstring"
    for name in set(pha_lite.__all__) - {"__version__"}:
        thing = getattr(pha_lite, name)
        assert f"{thing.__module__}.{name}" in names, name


def test_the_map_and_the_notation_link_what_the_api_documents():
    names = documented()
    for path in PAGES:
        for target in TARGET.findall(read(path)):
            assert any(target == name or target.startswith(name + ".") for name in names), target


def test_every_reference_page_is_in_the_table_of_contents():
    toc = read(BOOK / "_toc.yml")
    for path in [*PAGES, *API]:
        assert f"file: {path.relative_to(BOOK).with_suffix('')}\n" in toc, path.stem
