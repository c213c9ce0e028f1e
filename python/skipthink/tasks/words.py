"""Word lists that the tasks draw from."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# First names and words of many endings, so that last letters are not nearly always "a", "e" or "n".
NAMES = _words(
    """
    Aaron Abby Abel Ada Adil Agnes Aiko Alan Albert Alec Alexa Alfred Ali Alice Alina Amir Amos Amy Ana
    Andrew Anita Anna April Arjun Arlo Arthur Ava Axel Beatrix Becky Ben Bert Beth Bill Bob Boris Brad
    Bram Brooke Bruno Carl Carlos Carmen Cecil Chad Chen Chloe Chris Claire Clara Clark Colin Cora Craig
    Daisy Dan Dana Daniel Daud David Dawn Dean Dennis Diego Dora Doug Dylan Edgar Edith Eli Ella Elliot
    Emil Emma Enid Eric Ernest Esther Ethan Eva Evan Ezra Fatima Felix Fern Finn Fiona Fleur Flora Frank
    Fred Gail George Gert Gita Gloria Grace Grant Greg Greta Gus Hakim Hana Hank Hans Harold Harry Hassan
    Hazel Hector Heidi Helen Henry Hiro Holly Hugh Hugo Ian Ida Igor Ines Ingrid Irene Iris Isaac Ivan Ivy
    Jack Jacob Jade James Jan Jane Jasper Jeff Jill Joan Joel John Jonas Josef Joy Juan Judith Julia Jun
    June Kai Karim Kate Keith Ken Kevin Kim Kira Kofi Kurt Lars Laura Leah Lee Lena Leo Leroy Liam Lily
    Lina Liz Lois Lola Lucas Lucy Luis Luke Lydia Mabel Marc Margot Maria Mark Martin Mary Matt Max May
    Maya Mei Mia Mick Miguel Milo Mina Miriam Mohamed Mona Murad Nadia Naomi Nasir Nathan Ned Neil Nell
    Nick Nina Noah Nora Olaf Olga Oliver Omar Oscar Otto Owen Pablo Pam Patrick Paul Pearl Pedro Penny
    Peter Phil Pia Priya Quentin Rachel Rafael Ralf Ramesh Raul Ravi Ray Rex Rita Robert Roger Rosa Rose
    Roy Ruby Ruth Ryan Sam Sana Sara Saul Scott Sean Selma Seth Sid Simon Sofia Sonja Stan Stella Sue Sven
    Tara Ted Tess Thomas Tim Tina Tobias Tom Troy Uma Ursula Vera Vic Viktor Vivian Wade Walt Wanda Wendy
    Will Xavier Yara Yasmin Yusuf Zack Zara Zoe
    """
)

WORDS = _words(
    """
    acorn apple arch attic badge bamboo banjo barn basket beach bench berry blanket boat bonus book box
    branch brick bridge brush bucket cactus camel candle canvas carpet castle chalk cheese cherry circus
    clock cloud coat comb comet cookie copper coral crayon crow cup curb daisy desert desk dragon drum
    eagle echo elbow engine fabric feather fence field flag flute fog forest fork fox frog garden garlic
    giraffe glove gold grape grass guitar hammer harp hawk helmet hero hill honey horse hotel igloo index
    iron island jacket jar jelly jungle kettle key kite kiwi knee ladder lamp lantern leaf lemon letter
    lion lizard logo magic map marble market meadow melon menu mitten moon motor mud music napkin needle
    nest oak ocean olive onion orbit oven owl paddle panda panel parrot path peach pencil pepper piano
    pickle pilot plum pocket pond potato puzzle quartz quilt rabbit radio raft rain relax ribbon ring
    river robin rocket roof rug sail salad scarf school shelf ship shrub silk sled snow sock sofa spoon
    squid stamp star stew storm straw sugar sun swim table taxi tent thumb tiger tomb topaz torch tractor
    tulip tunnel turnip umbrella valley velvet video violin wagon wax web whale wheel wind wolf wool yard
    yoga zebra zigzag zoo
    """
)

ITEMS = _words(
    """
    apple badge balloon basket bead book bottle bowl brick brush/brushes button cake candle card carrot chair coin
    cookie crayon cup egg flower hat jar key kite ladder lamp lemon letter magnet map marble muffin mug nut
    onion orange pan peach/peaches pear pebble pen pencil photo pillow plant plate plum postcard potato/potatoes
    ribbon ring rock seashell shell spoon stamp sticker stone string ticket tomato/tomatoes toy tulip walnut
    """
)

# Where things lie: each follows "in the".
PLACES = _words(
    """
    attic barn basement boat bucket cabin cellar chest classroom closet cupboard drawer garage garden hall hut
    kitchen library office pantry pocket room shed shop stable store suitcase tent tower trunk van wagon
    """
)

COLOURS = _words(
    """
    amber beige black blue bronze brown copper cream gold green grey ivory lilac lime maroon navy olive orange
    pink purple red rose ruby scarlet silver tan teal turquoise violet white yellow
    """
)

# What books are about.
SUBJECTS = _words(
    """
    animal art bird boat cooking castle chess dance desert dream fairy farm fish forest garden ghost history
    horse island logic magic moon mountain music ocean painting plant poetry railway river travel winter
    """
)

# Where people stand: each follows "at the".
POSITIONS = _words(
    """
    aisle arch balcony bench bridge centre corner counter desk door entrance exit fence fountain front gate harp
    ladder lamp left mirror piano pillar rear right stage stairs statue table tree wall window
    """
)

# What somebody can be; the plural adds an "s".
KINDS = _words(
    """
    actor archer artist author baker banker barber boxer builder butcher carpenter carver chemist cleaner clown
    coach/coaches collector cook cyclist dancer dentist designer diver doctor drummer driver farmer fiddler
    fisher florist gardener guard guide helper hiker hunter inventor jeweller joiner juggler judge keeper
    knitter lawyer librarian mayor miner musician nurse owner painter pilot pirate player plumber poet porter
    potter printer prince ranger reader rider runner sailor scholar sculptor shepherd singer skater soldier
    student surfer swimmer tailor teacher trader trainer tutor waiter weaver welder winner worker writer
    """
)

# What somebody can be like.
TRAITS = _words(
    """
    angry bold brave bright busy calm careful cheerful clever curious eager fair famous fast friendly funny
    gentle glad grumpy happy helpful honest hungry jolly kind lazy loud loyal lucky modest neat nervous noisy
    patient polite proud quick quiet rich sad shy silent sleepy slow smart strict strong tall thirsty tidy
    tired wise witty young
    """
)

# What has a date; each follows "the".
EVENTS = _words(
    """
    auction ball bazaar carnival ceremony concert conference contest dinner exam exhibition fair festival
    flight game hike interview journey launch lecture lesson match meeting opening parade party performance
    picnic race reading rehearsal reunion show test tour trip visit voyage wedding workshop
    """
)

WEEKDAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August September October November December")


def all_words() -> dict[str, tuple[str, ...]]:
    """All word lists that tasks draw from: the words that a student must know before it is fine-tuned.

    Returns:
        Name of a list ("names", "words", "items", "places", "colours", "subjects", "positions", "kinds", "traits",
        "events", "weekdays", "months") to its words. "items" and "kinds" are singulars; "peach/peaches" names a plural
        that is not formed with "s" (`both_forms` separates the two).
    """
    return {
        "names": NAMES,
        "words": WORDS,
        "items": ITEMS,
        "places": PLACES,
        "colours": COLOURS,
        "subjects": SUBJECTS,
        "positions": POSITIONS,
        "kinds": KINDS,
        "traits": TRAITS,
        "events": EVENTS,
        "weekdays": WEEKDAYS,
        "months": MONTHS,
    }


def both_forms(word: str) -> tuple[str, str]:
    """Singular and plural of a word of a list: "peach/peaches" names both, "pear" gets an "s"."""
    singular, _, plural = word.partition("/")
    return singular, plural or f"{singular}s"
