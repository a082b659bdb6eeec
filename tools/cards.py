# ruff: noqa: E501 (lines of the cards are lines of Markdown)
"""Write the cards of the embedded backbone and suite from recorded files; `--check` compares.

No number in a card is typed in: they come from the pretraining log, `data/results/*.json` and the
suite itself.
"""

from __future__ import annotations

import json
import statistics
import sys

from pha_lite.paths import data_dir
from pha_lite.suite import RULES, load_suite
from pha_lite.world.documents import EXERCISE_KINDS
from pha_lite.world.lexicon import EXERCISES, HELD_OUT, TRAINING

HOME = data_dir() / "backbone" / "tiny"


def record(name: str) -> dict:
    """A recorded experiment."""
    return json.loads((data_dir() / "results" / f"{name}.json").read_text())


def worth() -> str:
    """The comparison with random weights, where it has been recorded."""
    if not (data_dir() / "results" / "backbone.json").exists():
        return (
            "The comparison with a randomly initialised T5 of the same size has no recorded figures "
            "yet;\n`python -m pha_lite.experiments backbone` makes them."
        )
    found = record("backbone")
    rows = []
    for kind, n in sorted({(r["backbone"], r["n"]) for r in found["rows"]}, key=lambda p: p[::-1]):
        got = [r for r in found["rows"] if (r["backbone"], r["n"]) == (kind, n)]
        name = "pretrained" if kind == "tiny" else "random weights"
        score = spread([r["test"]["all"] for r in got])
        rows.append(f"| {n} | {name} | {got[0]['lr']:g} | {score} |")
    seeds = ", ".join(map(str, found["settings"]["seeds"]))
    return f"""Frozen, one shared adapter, all training tasks of the suite, test accuracy in percent (mean and standard
deviation over seeds {seeds}); learning rate by validation, over the same grid for both.

| n per task | weights | learning rate | accuracy |
|---|---|---|---|
{chr(10).join(rows)}

From `data/results/backbone.json`, written by `{found["command"]}`."""


def spread(values: list[float]) -> str:
    """Mean and standard deviation in percent."""
    return f"{100 * statistics.mean(values):.1f} +- {100 * statistics.stdev(values):.1f}"


def backbone_card() -> str:
    stages = json.loads((HOME / "recipe.json").read_text())
    recipe = stages[-1]["recipe"]
    config = json.loads((HOME / "config.json").read_text())
    log = [json.loads(line) for line in (HOME / "log.jsonl").read_text().splitlines()]
    curve = "\n".join(
        f"| {r['step']} | {r['tokens'] / 1e6:.1f} | {r['seconds'] / 60:.0f} | {r['document_loss']:.2f}"
        f" | {r['masked_right']:.2f} | {r['exercise_right']:.2f} | {r['residual_rms']:.1f} |"
        for r in log
    )
    exercises = ", ".join(f"`{k.__name__.strip('_')}`" for k in EXERCISE_KINDS)
    return f"""# The embedded backbone, "tiny"

A T5 of our own for experiments that must run in seconds without a network. It knows a small made-up
world well and real English hardly at all.

| | |
|---|---|
| architecture | stock `transformers` T5: gated GELU, head tied to the embedding, output not scaled |
| sizes | d {config["d_model"]}, feed-forward {config["d_ff"]}, {config["num_heads"]} heads, {config["num_layers"]} encoder and {config["num_decoder_layers"]} decoder layers, {config["vocab_size"]} pieces |
| file | {(HOME / "model.safetensors").stat().st_size / 1e6:.1f} MB in bfloat16 |
| tokenizer | lower-casing unigram: the world's words whole, pieces of English, raw bytes for the rest |
| licence | MIT |

## Data

The numbers are those of the last stage.

- **Documents** of the small world (`pha_lite.world.documents`) about all surfaces, unlabelled, with
  masked spans to restore; {recipe["echoes"]} of the {recipe["documents"]} in a step say everything twice.
- **English**: {recipe["english"]} windows of {recipe["window"]} tokens in a step, from 202 public-domain books (authors who died by
  1953); they also gave the tokenizer its pieces of English. Weights and tokenizer are all that enters here.
- **Reading exercises**, {recipe["exercises"]} rows in a step, a supervised mixture as in T5's own pretraining:
  {exercises} on the surfaces {", ".join(EXERCISES)}. The suite never uses these surfaces, nor the
  exercises' prompts and answers, and nothing is ever evaluated on them. They do practise skills that the
  suite's rules need: finding a fact, matching two statements, telling whose opinion or word it is.
- No labelled example of a task of the suite was seen. Unlabelled sentences about the suite's surfaces
  ({", ".join((*TRAINING, *HELD_OUT))}) were, from the same grammar.

## Recipe

`pha pretrain --output RUN --corpus BOOKS --compile`: {recipe["documents"] + recipe["english"] + recipe["exercises"]} rows a step, Muon {recipe["muon_lr"]} on the blocks' matrices,
AdamW {recipe["adam_lr"]} on the rest, {recipe["warmup"]} steps of warm-up, linear decay to {100 * recipe["floor"]:.0f} %, bfloat16 autocast, seed {recipe["seed"]}; {log[-1]["step"]} steps,
one core for {log[-1]["seconds"] / 60:.0f} minutes. The run was not made in one go: where copying or comparing did not emerge, the text was
changed and the run went on from its last state. Each stage followed the linear decay of its own length.
The numbers of each stage are in `recipe.json`, the whole curve in `log.jsonl`.

| stage | steps | decay laid out for | code of commit | what changed |
|---|---|---|---|---|
{chr(10).join(f"| {i} | {s['from']} to {s['to']} | {s['recipe']['steps']} | `{s['commit']}` | {s['note']} |" for i, s in enumerate(stages, 1))}

| step | million tokens | minutes | document loss | masked words right | exercises right | residual RMS |
|---|---|---|---|---|---|---|
{curve}

## What it is worth

{worth()}

## What it can and cannot

It reads two or three short sentences of its world: who did what with what, who thinks what, who said
what. It does not know facts, it forgets capital letters, and texts of more than about fifty tokens are
longer than anything it was trained on. On natural English it is a weak feature extractor; use a real T5
there (`--backbone google-t5/t5-base`).
"""


def suite_card() -> str:
    suite = load_suite()
    tasks = record("cards")["tasks"]
    settings = record("cards")["settings"]
    parts = []
    for rule in RULES.values():
        example = suite[f"{rule.name}/hotel"]["train"][0]
        own = [t for n, t in tasks.items() if n.startswith(f"{rule.name}/")]
        low = [t["bag_of_words"] for t in own]
        top = [t["full_fine_tuning"] for t in own]
        parts.append(
            f"| `{rule.name}` | {rule.half} | {rule.asks} | {rule.mirrors} | "
            f"{' / '.join(rule.labels)} | {100 * min(low):.0f} to {100 * max(low):.0f} | "
            f"{100 * min(top):.0f} to {100 * max(top):.0f} | {example['source']} -> {example['target']} |"
        )
    return f"""# The embedded suite

Made by `pha_lite.suite.load_suite()`: a grid of rules and surfaces, {len(suite.train_tasks)} training tasks and {len(suite.held_out)} held-out
ones. Training surfaces: {", ".join(TRAINING)}; held-out surfaces: {", ".join(HELD_OUT)}. Rules of the half
"new" are asked of held-out tasks only. Every task has two answers, equally often: chance is 50 %.

Figures in percent, lowest to highest over a rule's surfaces. Bag of words: {settings["bag_of_words"]}.
Ceiling: full fine-tuning, {settings["full_fine_tuning"]}. Each task's own figures are in `cards.json`.

| rule | half | asks | mirrors | answers | bag of words | ceiling | an example |
|---|---|---|---|---|---|---|---|
{chr(10).join(parts)}

Words are used as this small world uses them: to give, hand, lend and send are one act there, and so are to
bring, carry, take and move. A paraphrase may exchange them.

Knobs: `seed` (other examples), `relatedness` (share of surfaces on which a rule keeps its meaning),
`conflict` (share of surfaces on which two rules that read the same input also share prompt and answers),
`noise` (share of wrong training labels), `sizes`. Licence: MIT.
"""


CARDS = {HOME / "README.md": backbone_card}
if (data_dir() / "results" / "cards.json").exists():  # floors and ceilings have been measured
    CARDS[data_dir() / "suite" / "README.md"] = suite_card


def main() -> int:
    stale = 0
    for path, write in CARDS.items():
        text = write()
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.name} of {path.parent.name} differs from its sources: run tools/cards.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
