"""What the embedded backbone reads in pretraining: plain documents and reading exercises.

Documents are unlabelled text about every surface. Each is written from facts that stand in it more
than once, in other words, so that a masked word can only be restored by reading the rest: whoever
did not like the soup does not come back. Exercises are text-to-text pairs as in T5's own
pretraining mixture, about surfaces that the suite never uses; their questions, prompts and answers
differ from every task's.
"""

from __future__ import annotations

from pha_lite.world import sentences as say
from pha_lite.world.lexicon import EXERCISES, FUTURE_DAYS, NAMES, PAST_DAYS, SURFACES, Surface
from pha_lite.world.rng import Rng

# Words that the suite answers and prompts with. Lists of them keep their embeddings alive; no text
# of pretraining pairs one with an input that it would answer.
LABEL_WORDS = (
    "yes no true false same different more less acceptable unacceptable answered open positive "
    "negative future past denied supported wrong right good bad review report claim premise "
    "hypothesis first second amounts compare sentence passage question feeling tense opening "
    "closing opinion"
).split()

# --- documents -----------------------------------------------------------------------------------


def _verb(holder: str, base: str) -> str:
    return base if holder in ("I", "we") else base + "s"


def _be(holder: str, past: bool) -> str:
    now = {"I": "am", "we": "are"}.get(holder, "is")
    return now if not past else "were" if holder == "we" else "was"


def _consequence(r: Rng, o: say.Opinion) -> str:
    """What follows from an opinion: mood, plans or the day, said of the same holder."""
    form = r.below(4)
    if form == 0:
        mood = r.pick(["happy", "pleased", "glad"] if o.liked else ["angry", "upset", "cross"])
        return say.sentence(f"{o.holder} {_be(o.holder, o.past)} {mood}")
    if form == 1:
        plan = "come back" if o.liked else "stay away"
        intends = "will" if o.past else f"{_verb(o.holder, 'want')} to"
        return say.sentence(f"{o.holder} {intends} {plan}")
    if form == 2:
        day = r.pick(PAST_DAYS if o.past else FUTURE_DAYS)
        came = "came" if o.past else "will come"
        return say.sentence(f"{o.holder} {came} {day}")
    praise = "praise" if o.liked else "blame"
    verb = praise + "d" if o.past else f"will {praise}"
    return say.sentence(f"{o.holder} {verb} the {o.aspect}")


def opinions(r: Rng, s: Surface) -> str:
    """Two opinions and what follows from each."""
    first = say.Opinion(r.pick(["I", "we"]), r.pick(s.aspects), r.chance(), r.chance())
    second = say.Opinion(say.other_holder(r, s), r.pick(s.aspects), r.chance(), r.chance())
    both = r.shuffled([first, second])
    told = [say.sentence(say.say_opinion(r, o)) for o in both]
    follow = [_consequence(r, o) for o in r.shuffled(both)]
    if r.chance(0.3):  # the same opinion in other words
        follow.append(say.sentence(say.say_opinion(r, r.pick(both))))
    return " ".join([*told, *follow])


def events(r: Rng, s: Surface) -> str:
    """Two or three events, then facets of them said again, or asked and answered."""
    told = say.moves(r, s, 2 + r.below(2))
    text = [say.say_move(r, m) for m in told]
    for _ in range(2):
        m, facet = r.pick(told), r.pick(say.FACETS)
        if r.chance(0.3):
            ask, answer = say.ask_facet(r, m, facet)
            text.append(f"{ask} {say.sentence(answer)}")
        else:
            text.append(say.say_facet(r, m, facet))
    return " ".join(text)


def gifts(r: Rng, s: Surface) -> str:
    """A gift, in other words, and who has the thing now."""
    g = say.gift(r, s)
    one, two = r.picks(range(4), 2)
    text = [say.say_gift(r, g, one), "In other words: " + say.say_gift(r, g, two)]
    text.append(say.sentence(f"now {g.receiver} has the {g.colour} {g.thing}"))
    if r.chance():
        text.append(say.sentence(f"{g.giver} no longer has it"))
    return " ".join(text)


def reports(r: Rng, s: Surface) -> str:
    """Two witnesses, who spoke before whom, and whether they tell the same."""
    thing, places, who = r.pick(s.things), r.picks(s.places, 2), r.picks(NAMES, 2)
    agree = r.chance()
    where = [places[0], places[0] if agree else places[1]]
    text = [say.say_report(r, w, thing, p) for w, p in zip(who, where, strict=True)]
    text.append(
        say.sentence(f"{who[0]} and {who[1]} {'agree' if agree else 'disagree'} about the {thing}")
    )
    form, i = r.below(3), r.below(2)
    if form == 0:
        text.append(say.sentence(f"{who[i]} spoke {['first', 'last'][i]}"))
    elif form == 1:
        order = ["earlier", "later"][i]
        text.append(say.sentence(f"the {order} word was: {where[i][0]} the {where[i][1]}"))
    else:
        text.append(say.sentence(f"to {who[i]} it is {where[i][0]} the {where[i][1]}"))
    return " ".join(text)


def numbers(r: Rng, s: Surface) -> str:
    """Amounts, how large they are and how they compare."""
    told = say.amounts(r, s, 1 + r.below(3))
    text = [say.say_amount(r, a) for a in told]
    if len(told) == 1 or r.chance(0.3):  # how large a number is, apart from any comparison
        a = r.pick(told)
        text.append(say.sentence(f"that is {'a lot' if a.number > 10 else 'not much'}"))
    if len(told) == 1:
        return " ".join(text)
    one, two = r.picks(told, 2)
    than = "more" if one.number > two.number else "fewer"
    text.append(say.sentence(f"{one.who} {one.verb[0]} {than} {one.goods} than {two.who}"))
    if r.chance():
        most = max(told, key=lambda a: a.number)
        text.append(say.sentence(f"{most.who} {most.verb[0]} the most"))
    return " ".join(text)


def plain(r: Rng, s: Surface) -> str:
    """Well-formed sentences with nothing in common."""
    return " ".join(say.sentence(" ".join(say.well_formed(r, s))) for _ in range(2))


def echo(r: Rng) -> str:
    """Two sentences about any surface, or a list of words, told twice: masks can be copied.

    Matching and copying is what every rule with two texts needs, and it is slow to emerge from
    documents that say a fact again in other words.
    """
    if r.chance(0.3):
        listed = r.picks(LABEL_WORDS, 6)
        again = r.shuffled(listed)
        return f"Words: {', '.join(listed)}. Once more: {', '.join(again)}."
    s = r.pick(list(SURFACES.values()))
    told = []
    for form in r.picks(range(4), 2):
        if form == 0:
            told.append(say.say_move(r, say.moves(r, s, 1)[0]))
        elif form == 1:
            told.append(say.say_gift(r, say.gift(r, s)))
        elif form == 2:
            told.append(say.say_report(r, r.pick(NAMES), r.pick(s.things), r.pick(s.places)))
        else:
            told.append(say.say_amount(r, say.amounts(r, s, 1)[0]))
    return " ".join([*told, "Once more:", *r.shuffled(told)])


KINDS = (opinions, events, gifts, reports, numbers, plain)


def document(r: Rng, s: Surface | None = None) -> str:
    """One unlabelled document about a surface (a random one unless given).

    >>> from pha_lite.world.rng import Rng
    >>> document(Rng(0, "doctest")).endswith(".")
    True
    """
    return r.pick(KINDS)(r, s or r.pick(list(SURFACES.values())))


# --- exercises -----------------------------------------------------------------------------------


# Each kind mixes easy cases (one fact) with hard ones (two facts that compete): the easy ones give
# the first hint of what is asked.


def _find(r: Rng, s: Surface) -> tuple[str, str]:
    told = say.moves(r, s, 1 + r.below(3))
    ask, answer = say.ask_facet(r, r.pick(told), r.pick(say.FACETS))
    return f"answer: {ask} {' '.join(say.say_move(r, m) for m in told)}", answer


def _check(r: Rng, s: Surface) -> tuple[str, str]:
    told = say.moves(r, s, 1 + (r.below(3) > 0))
    m, facet, fits = r.pick(told), r.pick(say.FACETS), r.chance()
    if not fits:
        m = say.change_facet(r, s, m, facet, [x for x in told if x is not m], near=0.6)
    text = f"check: {say.say_facet(r, m, facet)} {' '.join(say.say_move(r, x) for x in told)}"
    return text, "match" if fits else "clash"


def _gift(r: Rng, s: Surface) -> tuple[str, str]:
    g = say.gift(r, s)
    one, two = r.picks(range(4), 2)
    form = r.below(4)
    if form == 0:
        return f"owner: {say.say_gift(r, g, one)}", g.receiver
    if form == 1:
        return f"giver: {say.say_gift(r, g, one)}", g.giver
    fits = r.chance()
    other = g if fits else say.change_gift(r, s, g, roles=0.25)
    text = f"check: {say.say_gift(r, other, two)} {say.say_gift(r, g, one)}"
    return text, "match" if fits else "clash"


def _witness(r: Rng, s: Surface) -> tuple[str, str]:
    n = 1 + (r.below(4) > 0)
    thing, where, who = r.pick(s.things), [r.pick(s.places) for _ in range(n)], r.picks(NAMES, n)
    text = " ".join(say.say_report(r, w, thing, p) for w, p in zip(who, where, strict=True))
    i, form = r.below(n), r.below(4)
    if form == 0:
        return f"place of {who[i]}: {text}", where[i][1]
    if form == 1:
        return f"speaker {['one', 'two'][i]}: {text}", who[i]
    if form == 2:
        return f"place {['one', 'two'][i]}: {text}", where[i][1]
    fits = r.chance()
    asked = where[i] if fits else r.pick([p for p in s.places if p != where[i]])
    return f"check {who[i]}: {say.say_claim(r, thing, asked)} {text}", "match" if fits else "clash"


def _mood(r: Rng, s: Surface) -> tuple[str, str]:
    both = [
        say.Opinion(holder, r.pick(s.aspects), r.chance(), r.chance())
        for holder in (r.pick(["I", "we"]), say.other_holder(r, s))
    ]
    told = r.shuffled(both)[: 1 + (r.below(4) > 0)]
    text = " ".join(say.sentence(say.say_opinion(r, o)) for o in told)
    o = r.pick(told)
    if r.chance(0.35):
        return f"day of {o.holder}: {text}", "before" if o.past else "later"
    return f"mood of {o.holder}: {text}", "happy" if o.liked else "angry"


def _most(r: Rng, s: Surface) -> tuple[str, str]:
    told = say.amounts(r, s, 2)
    text = " ".join(say.say_amount(r, a) for a in told)
    form, a = r.below(4), r.pick(told)
    if form == 0:
        return f"number of {a.who}: {text}", say.NUMBERS[a.number - 1]
    if form == 1:
        return f"size: {say.say_amount(r, a)}", "large" if a.number > 10 else "small"
    big, small = sorted(told, key=lambda a: -a.number)
    return (f"winner: {text}", big.who) if form == 2 else (f"loser: {text}", small.who)


def _proofread(r: Rng, s: Surface) -> tuple[str, str]:
    words, broken = say.well_formed(r, s), r.chance()
    words = say.break_grammar(r, words) if broken else words
    return f"proofread: {say.sentence(' '.join(words))}", "mistake" if broken else "clean"


EXERCISE_KINDS = (_find, _check, _gift, _witness, _mood, _most, _proofread)
# What two competing facts make hard is asked twice as often.
_DRAWN = (*EXERCISE_KINDS, _check, _witness, _mood)


def exercise(r: Rng) -> tuple[str, str]:
    """One reading exercise (source, target) about a surface that the suite never uses.

    >>> from pha_lite.world.rng import Rng
    >>> source, target = exercise(Rng(0, "doctest"))
    """
    return r.pick(_DRAWN)(r, SURFACES[r.pick(EXERCISES)])


# Words of documents and exercises beside the lexicon's: the tokenizer keeps them whole too.
EXTRA_WORDS = (
    "answer check owner giver place speaker day mood number size winner loser proofread match "
    "clash clean mistake large small lot much before later earlier happy pleased glad angry "
    "upset cross praise praised blame blamed agree disagree spoke first last word more fewer "
    "most than longer other words come came back stay away want wants think thinks thought "
    "found seem seemed did not will was were is are has now stands kept says saw believes "
    "according that it who whom where what colour the an about our my we us me to by in at on "
    "of and with once"
).split()
