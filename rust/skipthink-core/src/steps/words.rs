//! The word lists of the sentence rules, as `docs/steps.md` gives them.

/// The longest word of the lists, in bytes.
pub const LONGEST: usize = 12;

/// What a period behind a word needs to end a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abbreviation {
    /// It never does.
    Never,
    /// No digit behind it.
    NoDigit,
    /// An upper-case letter behind it.
    Upper,
    /// A starter behind it.
    Starter,
}

/// Abbreviations in lower case, by what they need.
const ABBREVIATIONS: [(Abbreviation, &str); 4] = [
    (
        Abbreviation::Never,
        "approx capt cf col dr e.g gen gov hon i.e lt messrs mr mrs ms pres prof rep rev sen sgt viz vs",
    ),
    (Abbreviation::NoDigit, "art ch eq eqs ex fig figs no nos p para pp pt vol"),
    (
        Abbreviation::Upper,
        "a.m apr aug ave blvd bros co corp cu dec dept est etc feb fri ft hr hrs in inc incl jan jr lb lbs ltd min \
         mon nov oct oz p.m prelim rd sat sec sep sept sq sr sun thu thur thurs tue tues univ wed yd yds yr yrs",
    ),
    (Abbreviation::Starter, "mt st"),
];

/// A hash table without collisions: a word of at most eight bytes is a number, its first byte the lowest.
static TABLE: Table = Table::new();

const SLOT_BITS: u32 = 9;
/// Found by trial; another word may need another one, which the compiler then says.
const MULTIPLIER: u64 = 0x25f4_6356_6a4a_2ead;

struct Table {
    keys: [u64; 1 << SLOT_BITS],
    needs: [Option<Abbreviation>; 1 << SLOT_BITS],
}

impl Table {
    const fn new() -> Self {
        let mut table = Self { keys: [0; 1 << SLOT_BITS], needs: [None; 1 << SLOT_BITS] };
        let mut list = 0;
        while list < ABBREVIATIONS.len() {
            let (needs, words) = (ABBREVIATIONS[list].0, ABBREVIATIONS[list].1.as_bytes());
            let (mut key, mut length, mut at) = (0, 0, 0);
            while at <= words.len() {
                if at < words.len() && words[at] != b' ' {
                    assert!(length < 64, "an abbreviation has at most eight bytes");
                    key |= (words[at] as u64) << length;
                    length += 8;
                } else {
                    let slot = Self::slot(key);
                    assert!(table.keys[slot] == 0, "two abbreviations share a slot: try another multiplier");
                    table.keys[slot] = key;
                    table.needs[slot] = Some(needs);
                    (key, length) = (0, 0);
                }
                at += 1;
            }
            list += 1;
        }
        table
    }

    const fn slot(key: u64) -> usize {
        (key.wrapping_mul(MULTIPLIER) >> (64 - SLOT_BITS)) as usize
    }
}

/// The abbreviation that a word is, whatever its case.
pub fn abbreviation(word: &str) -> Option<Abbreviation> {
    let mut bytes = [0; 8];
    bytes.get_mut(..word.len())?.copy_from_slice(word.as_bytes());
    bytes.make_ascii_lowercase();
    let key = u64::from_le_bytes(bytes);
    let slot = Table::slot(key);
    TABLE.needs[slot].filter(|_| TABLE.keys[slot] == key)
}

/// Whether the last eight bytes before a period, the last one highest and zeros before the step, end in a word
/// behind which any period ends a sentence: ASCII, no abbreviation, acronym, initial or number of a list.
#[inline]
pub fn is_plain_word(bytes: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // all bytes at once: below, no sum of one byte reaches into the next, as none is beyond ASCII
    if bytes & HIGH != 0 || (bytes >> 48) & 0xFF == u64::from(b'.') {
        return false;
    }
    let at_least = |values: u64, least: u8| values + u64::from(128 - least) * EACH;
    let lower = bytes | (0x20 * EACH);
    let letters = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
    let digits = at_least(bytes, b'0') & !at_least(bytes, b'9' + 1);
    let dots = HIGH - (bytes ^ (u64::from(b'.') * EACH));
    let others = !(letters | digits | dots) & HIGH;
    // bits before the word: none for a word longer than any abbreviation, all where no word stands
    let before = 64 - others.leading_zeros();
    let key = lower.checked_shr(before).unwrap_or(0);
    if before == 56 && (((bytes >> 56) as u8).is_ascii_uppercase() || key == u64::from(b'1')) {
        return false;
    }
    before == 0 || key == 0 || TABLE.keys[Table::slot(key)] != key
}

/// Whether a word begins sentences far more often than it follows an initial or an acronym.
#[expect(clippy::match_like_matches_macro, reason = "rustfmt would give each word a line of its own")]
pub fn is_starter(word: &str) -> bool {
    match lower(word, &mut [0; LONGEST]).unwrap_or_default() {
        b"a" | b"according" | b"adding" | b"after" | b"all" | b"also" | b"although" | b"an" | b"and"
        | b"another" | b"any" | b"as" | b"assuming" | b"at" | b"because" | b"before" | b"both" | b"but"
        | b"by" | b"calculating" | b"check" | b"combining" | b"consider" | b"continuing" | b"dividing"
        | b"each" | b"finally" | b"first" | b"for" | b"from" | b"given" | b"half" | b"he" | b"hence"
        | b"her" | b"here" | b"his" | b"how" | b"however" | b"i" | b"if" | b"in" | b"initially"
        | b"instead" | b"it" | b"its" | b"last" | b"let" | b"multiplying" | b"next" | b"no" | b"not"
        | b"note" | b"now" | b"on" | b"once" | b"or" | b"our" | b"plugging" | b"second" | b"she"
        | b"since" | b"so" | b"solving" | b"some" | b"step" | b"substituting" | b"subtracting"
        | b"summing" | b"that" | b"the" | b"their" | b"then" | b"there" | b"therefore" | b"these"
        | b"they" | b"third" | b"this" | b"those" | b"thus" | b"to" | b"using" | b"wait" | b"we"
        | b"what" | b"when" | b"where" | b"which" | b"while" | b"who" | b"why" | b"with" | b"yes"
        | b"you" => true,
        _ => false,
    }
}

/// Whether a word stands before one-letter answers: "the answer is B. Alice …".
pub fn is_before_letter(word: &str) -> bool {
    matches!(
        lower(word, &mut [0; LONGEST]).unwrap_or_default(),
        b"answer" | b"are" | b"be" | b"choice" | b"equals" | b"is" | b"letter" | b"option"
    )
}

fn lower<'a>(word: &str, buffer: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let lower = buffer.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(lower)
}
