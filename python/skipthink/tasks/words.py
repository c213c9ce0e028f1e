"""The word lists the tasks draw from."""

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
    apple badge balloon bead book button candle card coin cookie crayon flower key lemon magnet marble mug
    orange peach/peaches pear pebble pencil photo plum postcard ribbon seashell shell sticker stamp ticket
    tomato/tomatoes toy tulip walnut
    """
)
