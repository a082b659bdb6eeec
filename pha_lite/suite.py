"""The embedded suite: a grid of rules (what is asked) and surfaces (what the text is about).

Two halves teach two lessons. In the *related* half every rule reads inputs of its own kind and is
asked on several surfaces: what is learnt on one surface helps on the next. In the *conflicting*
half two rules read the very same kind of input, with the same prompt and the same label words, and
only the task's identity tells what is asked: what helps one rule hurts the other.
Held-out cells are new by surface, by rule, or by both. All of it is our own (no source).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from datasets import Dataset

from pha_lite.errors import PHAError
from pha_lite.paths import data_dir
from pha_lite.tasks import Task
from pha_lite.world import sentences as say
from pha_lite.world.lexicon import HELD_OUT, NAMES, SURFACES, TRAINING, Surface
from pha_lite.world.rng import Rng

SURFACES_OF_SUITE = TRAINING + HELD_OUT
SIZES = {"train": 1000, "validation": 200, "test": 400}


# --- kinds of input: each draws fields of text and the answers of every rule that reads them -----

Drawn = tuple[dict[str, str], dict[str, bool]]


def review(r: Rng, s: Surface) -> Drawn:
    """The writer's opinion and somebody else's, each past or ahead, in either order."""
    mine = say.Opinion(r.pick(["I", "we"]), r.pick(s.aspects), r.chance(), r.chance())
    theirs = say.Opinion(say.other_holder(r, s), r.pick(s.aspects), r.chance(), r.chance())
    text = " ".join(say.sentence(say.say_opinion(r, o)) for o in r.shuffled([mine, theirs]))
    return {"text": text}, {"sentiment": mine.liked, "time": mine.past, "other": theirs.liked}


def report(r: Rng, s: Surface) -> Drawn:
    """Two witnesses say where a thing is; each agrees with the claim or names another place."""
    thing, (claimed, *elsewhere) = r.pick(s.things), r.shuffled(s.places)
    agrees = [r.chance(), r.chance()]
    places = [claimed if yes else r.pick(elsewhere) for yes in agrees]
    told = [
        say.say_report(r, who, thing, place)
        for who, place in zip(r.picks(NAMES, 2), places, strict=True)
    ]
    fields = {"text": " ".join(told), "claim": say.say_claim(r, thing, claimed)}
    return fields, {"first-witness": agrees[0], "last-witness": agrees[1]}


def single(r: Rng, s: Surface) -> Drawn:
    """One sentence, well formed or with one grammatical fault."""
    words, good = say.well_formed(r, s), r.chance()
    words = words if good else say.break_grammar(r, words)
    return {"text": say.sentence(" ".join(words))}, {"acceptability": good}


def premise(r: Rng, s: Surface) -> Drawn:
    """One or two events and a statement about one facet of one of them."""
    events = say.moves(r, s, 1 + r.below(2))
    event, facet, true = r.pick(events), r.pick(say.FACETS), r.chance()
    if not true:
        rivals = [e for e in events if e is not event]
        event = say.change_facet(r, s, event, facet, rivals, near=0.6)
    text = " ".join(say.say_move(r, m) for m in events)
    return {"premise": text, "hypothesis": say.say_facet(r, event, facet)}, {"entailment": true}


def pair(r: Rng, s: Surface) -> Drawn:
    """Two sentences about a gift in different words, of the same meaning or not."""
    one, same = say.gift(r, s), r.chance()
    two = one if same else say.change_gift(r, s, one, roles=0.15)
    forms = r.picks(range(4), 2)
    fields = {"first": say.say_gift(r, one, forms[0]), "second": say.say_gift(r, two, forms[1])}
    return fields, {"paraphrase": same}


def compare(r: Rng, s: Surface) -> Drawn:
    """Two people's numbers; one is compared with the other."""
    told = say.amounts(r, s, 2)
    one, two = r.shuffled(told)
    fields = {"text": " ".join(say.say_amount(r, a) for a in told), "one": one.who, "two": two.who}
    return fields, {"comparison": one.number > two.number}


def question(r: Rng, s: Surface) -> Drawn:
    """Two events and a question that they answer or leave open."""
    events, answered = say.moves(r, s, 2), r.chance()
    asked = r.pick(events)
    if not answered:
        asked = say.change_facet(r, s, asked, "thing", events, near=0.0)
    ask, _ = say.ask_facet(r, asked, r.pick(say.FACETS))
    return {"text": " ".join(say.say_move(r, m) for m in events), "question": ask}, {
        "reading": answered
    }


# --- rules ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """One question asked of a kind of input.

    Attributes:
        name: the rule's name, the first half of a task's name.
        half: "related", "conflicting" or "new" (asked of held-out tasks only).
        kind: draws the input's fields and the true answers.
        prompt: template of the model's input.
        labels: label words, first the one for *false*.
        mirrors: the real benchmark that asks something alike.
        asks: the question in words.
        told: prompt and label words when the question is told apart (the `conflict` knob at 0).
    """

    name: str
    half: str
    kind: Callable[[Rng, Surface], Drawn]
    prompt: str
    labels: tuple[str, str]
    mirrors: str
    asks: str
    told: tuple[str, tuple[str, str]] | None = None


REVIEW, REPORT = "review: {text}", "report: {text} claim: {claim}"
RULES = {
    rule.name: rule
    for rule in (
        Rule("acceptability", "related", single, "sentence: {text}",
             ("unacceptable", "acceptable"), "CoLA", "Is the sentence grammatical?"),
        Rule("entailment", "related", premise, "premise: {premise} hypothesis: {hypothesis}",
             ("false", "true"), "RTE, CB", "Is the hypothesis true, given the premise?"),
        Rule("paraphrase", "related", pair, "first: {first} second: {second}",
             ("different", "same"), "MRPC, QQP, PAWS", "Do both sentences say the same?"),
        Rule("comparison", "related", compare, "amounts: {text} compare: {one} with {two}",
             ("less", "more"), "numerical reading (DROP)", "Has the first person more?"),
        Rule("sentiment", "conflicting", review, REVIEW, ("no", "yes"), "SST-2, Yelp",
             "Does the writer like it?", ("feeling: {text}", ("negative", "positive"))),
        Rule("time", "conflicting", review, REVIEW, ("no", "yes"), "tense probing",
             "Does the writer speak of the past?", ("tense: {text}", ("future", "past"))),
        Rule("first-witness", "conflicting", report, REPORT, ("no", "yes"), "BoolQ, WSC",
             "Does the one who speaks first agree with the claim?",
             ("opening: {text} claim: {claim}", ("denied", "supported"))),
        Rule("last-witness", "conflicting", report, REPORT, ("no", "yes"), "BoolQ, WSC",
             "Does the one who speaks last agree with the claim?",
             ("closing: {text} claim: {claim}", ("wrong", "right"))),
        Rule("other", "new", review, REVIEW, ("no", "yes"), "aspect sentiment",
             "Does the other person like it?", ("opinion: {text}", ("bad", "good"))),
        Rule("reading", "new", question, "passage: {text} question: {question}",
             ("open", "answered"), "QNLI, MultiRC", "Does the passage answer the question?"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Where a task stands in the grid.

    Attributes:
        half: "related", "conflicting" or "new" (a rule that no training task asks).
        new_rule: no training task asks the rule.
        new_surface: no training task is about the surface.
        reversed: the label words are exchanged (the `relatedness` knob).
        told: the prompt names the question (the `conflict` knob).
    """

    rule: str
    surface: str
    half: str
    new_rule: bool
    new_surface: bool
    reversed: bool
    told: bool

    @property
    def held_out(self) -> bool:
        return self.new_rule or self.new_surface


@dataclass(frozen=True, eq=False)
class Suite(Mapping):
    """Tasks by name ("sentiment/hotel"), each generated when it is first asked for.

    >>> suite = load_suite(sizes={"train": 8, "validation": 4, "test": 4})
    >>> len(suite.train_tasks), len(suite.held_out)
    (24, 26)
    >>> suite["sentiment/hotel"].labels
    ('no', 'yes')
    """

    seed: int
    noise: float
    sizes: dict[str, int]
    cells: dict[str, Cell]
    _made: dict[str, Task] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Task:
        if name not in self.cells:
            known = ", ".join(list(self.cells)[:4])
            raise PHAError(
                f"the suite has no task {name!r}; names are rule/surface, such as {known}"
            )
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self.cells

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def cell(self, name: str) -> Cell:
        """The place of a task in the grid."""
        self[name]
        return self.cells[name]

    @property
    def train_tasks(self) -> list[str]:
        """Names of the training tasks: every trained rule on every training surface."""
        return [n for n, c in self.cells.items() if not c.held_out]

    @property
    def held_out(self) -> list[str]:
        """Names of the held-out tasks: new surface, new rule, or both."""
        return [n for n, c in self.cells.items() if c.held_out]

    def half(self, half: str) -> list[str]:
        """Names of the training tasks of one half, "related" or "conflicting"."""
        return [n for n in self.train_tasks if self.cells[n].half == half]

    def relatives(self, name: str) -> list[str]:
        """Training tasks that ask the same rule as the task, on other surfaces."""
        return [
            n for n in self.train_tasks if n != name and self.cells[n].rule == self.cells[name].rule
        ]

    def rivals(self, name: str) -> list[str]:
        """Training tasks that read the same kind of input but ask another rule.

        Those on the task's own surface come first.
        """
        mine = self.cells[name]
        found = [
            n
            for n in self.train_tasks
            if RULES[self.cells[n].rule].kind is RULES[mine.rule].kind
            and self.cells[n].rule != mine.rule
        ]
        return sorted(found, key=lambda n: self.cells[n].surface != mine.surface)

    @cached_property
    def measured(self) -> dict[str, dict]:
        """Recorded figures of the default suite by task: bag of words, ceiling (may be empty)."""
        path = data_dir() / "suite" / "cards.json"
        return json.loads(path.read_text())["tasks"] if path.exists() else {}

    def _make(self, name: str) -> Task:
        cell = self.cells[name]
        rule, surface = RULES[cell.rule], SURFACES[cell.surface]
        prompt, labels = rule.told if cell.told and rule.told else (rule.prompt, rule.labels)
        if cell.reversed:
            labels = labels[::-1]
        seen: set[str] = set()
        splits = {}
        for split, size in self.sizes.items():
            r = Rng(self.seed, name, split)
            rows = []
            while len(rows) < size:
                wanted = len(rows) % 2 == 1  # both labels equally often
                fields, answers = rule.kind(r, surface)
                source = prompt.format(**fields)
                if answers[rule.name] != wanted or source in seen:
                    continue
                seen.add(source)
                flip = split == "train" and r.chance(self.noise)
                rows.append((source, int(wanted != flip)))
            rows = r.shuffled(rows) if size < 2000 else rows
            splits[split] = Dataset.from_dict(
                {
                    "source": [source for source, _ in rows],
                    "target": [labels[label] for _, label in rows],
                    # An index into `labels`, as in the real loaders.
                    "label": [label for _, label in rows],
                }
            )
        example = splits["train"][0] if self.sizes["train"] else {}
        card = {
            "asks": rule.asks,
            "mirrors": rule.mirrors,
            "made by": f"pha_lite.suite.{rule.kind.__name__}, seed {self.seed}",
            "about": cell.surface,
            "half": cell.half,
            "chance": 0.5,
            "example": example,
            "licence": "MIT",
        }
        if self.seed == 0:
            card |= {"measured on the default suite": self.measured.get(name, {})}
        return Task(name, splits, labels, "accuracy", prompt, card)


def load_suite(
    seed: int = 0,
    relatedness: float = 1.0,
    conflict: float = 1.0,
    noise: float = 0.0,
    sizes: Mapping[str, int] | None = None,
) -> Suite:
    """The embedded suite: 24 training tasks and 26 held-out ones.

    The same arguments give the same bytes on any platform; no source text stands twice in a task.

    Args:
        seed: another seed gives other examples of the same tasks.
        relatedness: share of the surfaces on which a rule keeps its meaning (0 to 1). On the
            others its label words are exchanged, so that sharing between surfaces misleads.
        conflict: share of the surfaces on which rules that read the same input also share prompt
            and label words (0 to 1). On the others the prompt tells what is asked.
        noise: probability that a training label is wrong (0 to 0.5).
        sizes: rows per split, default 1000 train, 200 validation, 400 test.

    Raises:
        PHAError: a knob lies outside its range or a split is unknown or too large.
    """
    for knob, value, top in (
        ("relatedness", relatedness, 1.0),
        ("conflict", conflict, 1.0),
        ("noise", noise, 0.5),
    ):
        if not 0 <= value <= top:
            raise PHAError(f"{knob}={value} is out of range; give a number from 0 to {top:g}")
    sizes = {**SIZES, **(sizes or {})}
    for split, size in sizes.items():
        if split not in SIZES or not 0 <= size <= 20_000:
            raise PHAError(
                f"sizes[{split!r}]={size}: train, validation and test may have 0 to 20000 rows"
            )
    surfaces = SURFACES_OF_SUITE
    cells = {}
    for rule in RULES.values():
        r = Rng(seed, "knobs", rule.kind.__name__)
        told = set(r.picks(surfaces, round((1 - conflict) * len(surfaces))))
        r = Rng(seed, "reversed", rule.name)
        turned = set(r.picks(surfaces, round((1 - relatedness) * len(surfaces))))
        for surface in surfaces:
            cells[f"{rule.name}/{surface}"] = Cell(
                rule.name,
                surface,
                rule.half,
                rule.half == "new",
                surface in HELD_OUT,
                surface in turned,
                surface in told,
            )
    return Suite(seed, noise, sizes, cells)
