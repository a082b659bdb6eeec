"""From facts to sentences: every function takes an `Rng` and a `Surface` and writes plain English.

Each fact can be said in several ways, so that meaning and wording come apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pha_lite.world.lexicon import (
    BAD,
    COLOURS,
    COUNT,
    GIVE,
    GOOD,
    HATE,
    LIKE,
    MOVE,
    NAMES,
    NUMBERS,
    RELATIVES,
    Surface,
)
from pha_lite.world.rng import Rng


def sentence(text: str) -> str:
    """Start with a capital and end with a full stop.

    >>> sentence("the soup was cold")
    'The soup was cold.'
    """
    return text[0].upper() + text[1:] + "."


# --- opinions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opinion:
    """Who thinks what of something, and whether it lies in the past or ahead."""

    holder: str  # "I", "we", "Tom", "my sister", "the waiter"
    aspect: str
    liked: bool
    past: bool


def other_holder(r: Rng, s: Surface) -> str:
    """Somebody who is not the writer."""
    kind = r.below(4)
    if kind < 2:
        return r.pick(NAMES)
    return "the " + r.pick(s.people) if kind == 2 else r.pick(RELATIVES)


def say_opinion(r: Rng, o: Opinion, negation: float = 0.25) -> str:
    """An opinion as a clause, some through a negation ("did not like").

    Args:
        negation: how often. At one half the words alone say nothing of the meaning, and small
            models learn nothing; below it the words are a first hint, which the negations correct.
    """
    negated = r.chance(negation)
    good_word = o.liked != negated
    adjective = r.pick(GOOD if good_word else BAD)
    liked, like = r.pick(LIKE if good_word else HATE)
    to_whom = {"I": "me", "we": "us"}.get(o.holder, o.holder)
    no = "not " if negated else ""
    form = r.below(4)
    if o.past:
        did = "did not " if negated else ""
        if form == 0:
            return f"{o.holder} {did + 'find' if negated else 'found'} the {o.aspect} {adjective}"
        if form == 1:
            return f"{o.holder} thought the {o.aspect} was {no}{adjective}"
        if form == 2:
            return f"{o.holder} {did + like if negated else liked} the {o.aspect}"
        seem = "did not seem" if negated else "seemed"
        return f"the {o.aspect} {seem} {adjective} to {to_whom}"
    if form == 0:
        return f"{o.holder} will {no}find the {o.aspect} {adjective}"
    if form == 1:
        return f"{o.holder} will {no}think the {o.aspect} {adjective}"
    if form == 2:
        return f"{o.holder} will {no}{like} the {o.aspect}"
    return f"the {o.aspect} will {no}seem {adjective} to {to_whom}"


# --- events: somebody moves a thing somewhere ---------------------------------------------------


@dataclass(frozen=True)
class Move:
    """Somebody moved a coloured thing to a place."""

    who: str
    colour: str
    thing: str
    place: tuple[str, str]  # preposition, noun


def moves(r: Rng, s: Surface, n: int) -> list[Move]:
    """n events that share no person, colour, thing or place."""
    columns = (
        r.picks(NAMES, n),
        r.picks(COLOURS, n),
        r.picks(s.things, n),
        r.picks(s.places, n),
    )
    return [Move(*row) for row in zip(*columns, strict=True)]


def say_move(r: Rng, m: Move) -> str:
    """The whole event as a sentence, active or passive."""
    past, participle, _ = r.pick(MOVE)
    if r.chance(0.6):
        return sentence(f"{m.who} {past} the {m.colour} {m.thing} to the {m.place[1]}")
    return sentence(f"the {m.colour} {m.thing} was {participle} to the {m.place[1]} by {m.who}")


FACETS = ("who", "place", "colour")


def say_facet(r: Rng, m: Move, facet: str) -> str:
    """One facet of an event: who moved the thing, where it is now, or what colour it has."""
    past, participle, _ = r.pick(MOVE)
    if facet == "who":
        if r.chance():
            return sentence(f"{m.who} {past} the {m.thing}")
        return sentence(f"the {m.thing} was {participle} by {m.who}")
    if facet == "place":
        verb = r.pick(["is", "is now", "stands"])
        return sentence(f"the {m.thing} {verb} {m.place[0]} the {m.place[1]}")
    return sentence(r.pick([f"the {m.thing} is {m.colour}", f"a {m.colour} {m.thing} was moved"]))


def change_facet(r: Rng, s: Surface, m: Move, facet: str, rivals: list[Move], near: float) -> Move:
    """The event with one facet made untrue.

    Args:
        near: probability that the wrong value comes from a rival event of the same passage, so
            that every word of the untrue statement stands in the passage.
    """
    if rivals and r.chance(near):
        return replace(m, **{facet: getattr(r.pick(rivals), facet)})
    pool = {"who": NAMES, "place": s.places, "colour": COLOURS, "thing": s.things}[facet]
    taken = {getattr(x, facet) for x in (m, *rivals)}
    return replace(m, **{facet: r.pick([v for v in pool if v not in taken])})


def ask_facet(r: Rng, m: Move, facet: str) -> tuple[str, str]:
    """A question about one facet and its short answer."""
    past, participle, base = r.pick(MOVE)
    if facet == "who":
        ask = r.pick([f"Who {past} the {m.thing}?", f"By whom was the {m.thing} {participle}?"])
        return ask, m.who
    if facet == "place":
        return f"Where is the {m.thing}?", m.place[1]
    return f"What colour is the {m.thing}?", m.colour


# --- gifts: one person hands a thing to another -------------------------------------------------


@dataclass(frozen=True)
class Gift:
    """A giver hands a coloured thing to a receiver."""

    giver: str
    receiver: str
    colour: str
    thing: str


def gift(r: Rng, s: Surface) -> Gift:
    """A random gift between two different people."""
    giver, receiver = r.picks(NAMES, 2)
    return Gift(giver, receiver, r.pick(COLOURS), r.pick(s.things))


def say_gift(r: Rng, g: Gift, form: int | None = None) -> str:
    """The gift in one of four forms (0 to 3)."""
    past, participle, _ = r.pick(GIVE)
    what = f"the {g.colour} {g.thing}"
    form = r.below(4) if form is None else form
    return sentence(
        (
            f"{g.giver} {past} {what} to {g.receiver}",
            f"{g.giver} {past} {g.receiver} {what}",
            f"{g.receiver} was {participle} {what} by {g.giver}",
            f"{what} was {participle} to {g.receiver} by {g.giver}",
        )[form]
    )


def change_gift(r: Rng, s: Surface, g: Gift, roles: float) -> Gift:
    """A different gift: the two people change places with probability `roles`, else one value."""
    if r.chance(roles):
        return replace(g, giver=g.receiver, receiver=g.giver)
    facet = r.pick(["giver", "receiver", "colour", "thing"])
    pool = {"colour": COLOURS, "thing": s.things}.get(facet, NAMES)
    taken = (g.giver, g.receiver, g.colour, g.thing)
    return replace(g, **{facet: r.pick([v for v in pool if v not in taken])})


# --- reports: witnesses tell where a thing is ---------------------------------------------------


def say_report(r: Rng, who: str, thing: str, place: tuple[str, str]) -> str:
    """One witness's word on where the thing is."""
    where = f"{place[0]} the {place[1]}"
    return sentence(
        r.pick(
            [
                f"{who} says that the {thing} is {where}",
                f"{who} saw the {thing} {where}",
                f"{who} believes the {thing} is {where}",
                f"according to {who}, the {thing} is {where}",
            ]
        )
    )


def say_claim(r: Rng, thing: str, place: tuple[str, str]) -> str:
    """A claim about where the thing is."""
    verb = r.pick(["is", "is now", "stands", "is kept"])
    return sentence(f"the {thing} {verb} {place[0]} the {place[1]}")


# --- amounts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Amount:
    """Somebody sold, bought, found or counted a number of goods."""

    who: str
    verb: tuple[str, str]
    number: int  # 1 is NUMBERS[0]
    goods: str


def amounts(r: Rng, s: Surface, n: int) -> list[Amount]:
    """n people with n different numbers (2 to 20) of the same goods."""
    verb, goods = r.pick(COUNT), r.pick(s.goods)
    people, numbers = r.picks(NAMES, n), r.picks(range(2, 21), n)
    return [Amount(w, verb, k, goods) for w, k in zip(people, numbers, strict=True)]


def say_amount(r: Rng, a: Amount) -> str:
    """One amount as a sentence."""
    return sentence(f"{a.who} {a.verb[0]} {NUMBERS[a.number - 1]} {a.goods}")


# --- well-formed sentences and what can go wrong with them ---------------------------------------


def well_formed(r: Rng, s: Surface) -> list[str]:
    """A grammatical sentence as a list of words (without capital and full stop)."""
    person, thing = r.pick(s.people), r.pick(s.things)
    colour, place = r.pick(COLOURS), r.pick(s.places)
    past, participle, base = r.pick(MOVE)
    where = f"{place[0]} the {place[1]}"
    form = r.below(5)
    if form == 0:
        be = r.pick(["was", "is"])
        text = f"the {colour} {thing} {be} {where}"
    elif form == 1:
        be = r.pick(["were", "are"])
        text = f"the {person}s {be} {where}"
    elif form == 2:
        helper = r.pick(["did not", "will", "will not"])
        text = f"the {person} {helper} {base} the {colour} {thing}"
    elif form == 3:
        text = f"the {colour} {thing}s were {participle} to the {place[1]}"
    else:
        number = NUMBERS[1 + r.below(11)]
        text = f"the {person} {past} {number} {thing}s to the {place[1]}"
    return text.split()


_OTHER_NUMBER = {"was": "were", "were": "was", "is": "are", "are": "is"}
_BASE = {form: base for past, participle, base in MOVE for form in (past, participle)}
_PAST = {base: past for past, _, base in MOVE}


def break_grammar(r: Rng, words: list[str]) -> list[str]:
    """The sentence with one grammatical fault: agreement, verb form, article or word order."""
    kind = r.below(4)
    if kind == 0:
        spots = [i for i, w in enumerate(words) if w in _OTHER_NUMBER]
        if spots:
            i = r.pick(spots)
            return [*words[:i], _OTHER_NUMBER[words[i]], *words[i + 1 :]]
    if kind <= 1:
        spots = [i for i, w in enumerate(words) if w in _BASE or w in _PAST]
        if spots:
            i = r.pick(spots)
            wrong = _PAST.get(words[i]) or _BASE[words[i]]
            return [*words[:i], wrong, *words[i + 1 :]]
    if kind == 2:
        spots = [i for i, w in enumerate(words) if w == "the" and i > 0]
        if spots:
            i = r.pick(spots)
            return [*words[:i], *words[i + 1 :]]
    i = 1 + r.below(len(words) - 2)
    if words[i] == words[i + 1]:
        i -= 1
    return [*words[:i], words[i + 1], words[i], *words[i + 2 :]]
