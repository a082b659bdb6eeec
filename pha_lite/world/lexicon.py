"""The words of the small world: what every surface shares, and what each surface owns."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = (
    "Anna Tom Mary Peter Lucy Omar Nina Paul Sara Hugo Emma Ivan Rosa Karl Lena Felix Maya Oscar "
    "Clara Simon Julia Bruno Alice Victor Elena Martin Sofia Daniel Irene Lukas Grace Adam Helen "
    "Marco Ruth Leon Vera Henry Diana Amir"
).split()

RELATIVES = ["my sister", "my brother", "my friend", "my uncle", "my aunt", "my neighbour"]

COLOURS = "red blue green yellow black white brown grey golden silver".split()

NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
).split()

GOOD = (
    "good great lovely wonderful pleasant excellent charming perfect nice fine delightful superb "
    "splendid brilliant"
).split()
BAD = (
    "bad awful terrible poor nasty dreadful boring horrible sad ugly dull weak disappointing "
    "miserable"
).split()

# (past, base form); the two lists are read as liking and disliking.
LIKE = [("liked", "like"), ("loved", "love"), ("enjoyed", "enjoy"), ("admired", "admire")]
HATE = [("hated", "hate"), ("disliked", "dislike"), ("regretted", "regret"), ("cursed", "curse")]

# (past, participle, base): ways to move a thing, which mean the same in this world.
MOVE = [
    ("carried", "carried", "carry"),
    ("brought", "brought", "bring"),
    ("took", "taken", "take"),
    ("moved", "moved", "move"),
]
# (past, participle, base): one person hands a thing to another.
GIVE = [
    ("gave", "given", "give"),
    ("handed", "handed", "hand"),
    ("lent", "lent", "lend"),
    ("sent", "sent", "send"),
]
# (past, base): ways to come by a number of goods.
COUNT = [("sold", "sell"), ("bought", "buy"), ("found", "find"), ("counted", "count")]

PAST_DAYS = ["yesterday", "last week", "last month", "on Monday last"]
FUTURE_DAYS = ["tomorrow", "next week", "next month", "on Monday next"]


@dataclass(frozen=True)
class Surface:
    """What a text can be about.

    Attributes:
        name: the surface's name, the second half of a task's name.
        people: nouns for those who work or visit there (singular, regular plural in -s).
        aspects: singular nouns that one can like or dislike.
        things: singular nouns that one can carry (regular plural in -s).
        places: (preposition, noun) pairs.
        goods: plural nouns that one can count.
    """

    name: str
    people: tuple[str, ...]
    aspects: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    goods: tuple[str, ...]


def _surface(name: str, people: str, aspects: str, things: str, places: str, goods: str) -> Surface:
    pairs = tuple(tuple(p.split(":")) for p in places.split())
    split = (tuple(words.split()) for words in (people, aspects, things))
    return Surface(name, *split, pairs, tuple(goods.split()))


SURFACES = {
    s.name: s
    for s in (
        _surface(
            "restaurant",
            "waiter cook guest baker cashier",
            "soup bread menu dessert dinner wine salad sauce pizza coffee",
            "plate spoon bottle tray cup jug fork napkin",
            "in:kitchen in:cellar at:counter on:terrace in:pantry at:bar",
            "eggs onions lemons potatoes sausages pancakes",
        ),
        _surface(
            "hotel",
            "porter maid tourist manager receptionist",
            "room bed lobby pool breakfast view shower balcony carpet elevator",
            "suitcase towel pillow key blanket mirror lamp umbrella",
            "in:lobby in:attic at:entrance on:balcony in:laundry at:reception",
            "bags sheets candles slippers coats robes",
        ),
        _surface(
            "school",
            "teacher pupil student tutor janitor",
            "lesson lecture exam homework timetable uniform speech course playground debate",
            "notebook pencil ruler globe satchel chart eraser calculator",
            "in:library in:classroom at:gate on:stage in:corridor at:desk",
            "books pens essays maps stickers medals",
        ),
        _surface(
            "museum",
            "guide curator visitor sculptor collector",
            "exhibition gallery statue portrait tour painting collection audio display mosaic",
            "vase mask coin scroll helmet shield frame sword",
            "in:vault in:hall at:exit on:pedestal in:archive at:kiosk",
            "tickets stamps fossils crowns postcards jewels",
        ),
        _surface(
            "garden",
            "gardener florist beekeeper landscaper botanist",
            "lawn fountain hedge orchard rose pond path flower greenhouse scent",
            "shovel rake bucket pot hose ladder basket glove",
            "in:shed in:greenhouse at:fence on:bench in:barrow at:well",
            "tulips seeds roses carrots bulbs cherries",
        ),
        _surface(
            "farm",
            "farmer shepherd milkman rider vet",
            "harvest barn meadow cheese milk field stable cider honey butter",
            "saddle rope crate sack churn bell lantern whip",
            "in:barn in:stable at:trough on:cart in:meadow at:silo",
            "sheep cows geese pumpkins turnips hens",
        ),
        _surface(
            "station",
            "driver conductor passenger guard traveller",
            "train journey seat platform ride bus carriage station delay route",
            "ticket trunk parcel whistle bicycle newspaper flag radio",
            "in:tunnel in:wagon at:platform on:bridge in:office at:crossing",
            "trams wheels letters parcels rails signals",
        ),
        _surface(
            "theatre",
            "actor director singer dancer drummer",
            "play opera concert song plot costume music ending scene ballet",
            "violin drum curtain wig trumpet script crown flute",
            "in:balcony in:wardrobe at:door on:podium in:basement at:piano",
            "songs masks posters roles tunes poems",
        ),
        _surface(
            "harbour",
            "sailor captain fisherman diver pirate",
            "voyage ship harbour beach storm cruise ferry island boat lighthouse",
            "anchor net compass barrel oar chest hook sail",
            "in:cabin in:hold at:pier on:deck in:lighthouse at:dock",
            "fish shells crabs pearls boats nets",
        ),
    )
}

TRAINING = ("restaurant", "hotel", "school")
HELD_OUT = ("museum", "garden")
# Surfaces of the reading exercises in pretraining: no task of the suite is about them.
EXERCISES = ("farm", "station", "theatre", "harbour")


def words() -> list[str]:
    """Every word of the lexicon once, lower-cased: the tokenizer keeps each of them whole."""
    found: dict[str, None] = {}
    plain = [*NAMES, *COLOURS, *NUMBERS, *GOOD, *BAD, *" ".join(RELATIVES).split()]
    plain += [w for group in (LIKE, HATE, MOVE, GIVE, COUNT) for forms in group for w in forms]
    plain += " ".join(PAST_DAYS + FUTURE_DAYS).split()
    for s in SURFACES.values():
        plain += [s.name, *s.aspects, *s.goods]
        plain += [w for noun in s.people + s.things for w in (noun, noun + "s")]
        plain += [w for pair in s.places for w in pair]
    for word in plain:
        found[word.lower()] = None
    return list(found)
