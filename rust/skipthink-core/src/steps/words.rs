//! The word lists of the sentence rules, as `docs/reference/steps.md` gives them.

use super::ordinals;

/// The longest word of the lists, in bytes.
pub const LONGEST: usize = 12;

/// What a period behind a word needs to end a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abbreviation {
    /// It never does.
    Never,
    /// No digit behind it.
    NoDigit,
    /// No digit behind it, and no letter or Roman number that is a label: "Fig. A".
    NoLabel,
    /// An upper-case letter behind it.
    Upper,
    /// A starter behind it.
    Starter,
}

/// Abbreviations in lower case, by what they need.
const ABBREVIATIONS: [(Abbreviation, &str); 5] = [
    (
        Abbreviation::Never,
        "approx aprox arq avv bspw bzgl bzw capt cf cfr col d.h dña dott dr dra dres e.g ee env evtl exma exmo frl \
         gen ggf gov hon hrn i.d i.e ing insb insbes lic lt messrs mgr mlle mlles mme mmes mr mrs ms p.e p.ej p.es \
         p.ex pres prof profa rep resp rev sen sgt sig sigg sog sra sras sres srta u.z vgl viz vs z.b z.t zzgl",
    ),
    (Abbreviation::NoDigit, "max máx mín no nos nr nrs nro num núm núms nº p pág págs pag pagg pgs pp rs"),
    (
        Abbreviation::NoLabel,
        "abb abs abschn anm art aufg bsp cap ch chap cor def ec ecs ej eq eqn eqns eqs es ex fig figs gl kap lem para \
         prop pt ref refs sect séc tab tbl thm vol éq",
    ),
    (
        Abbreviation::Upper,
        "a.m abr apr aug ave avr blvd bros co corp cu dec déc dept dez dic ecc ene enz est etc feb febr fri ft févr hr \
         hrs in inc incl jan janv jr juil jul jun lb lbs ltd ltda min mm mon nov oct okt ott oz p.m prelim rd sat sec \
         sep sept sq sun thu thur thurs tue tues u.s.w univ usw wed yd yds yr yrs",
    ),
    (
        Abbreviation::Starter,
        "a.c al av avda b.sc bd ca chr cia cía d.c ee.uu einschl fr inkl jh m.sc mio mrd mt n.chr o.ä ph.d pr s.o s.u \
         sek sr srs st std ste stk str tsd u.a u.u u.ä ud uds uu v.a v.chr vd vds",
    ),
];

/// A hash table without collisions: a word of at most eight bytes is a number, its first byte the lowest.
static TABLE: Table = Table::new();

const SLOT_BITS: u32 = 11;
/// Found by trial; another word may need another one, which the compiler then says.
const MULTIPLIER: u64 = 0x1505_85c6_964a_aa53;

struct Table {
    /// The slots that hold a word, as bits: small enough to stay in the nearest cache.
    held: [u64; 1 << (SLOT_BITS - 6)],
    keys: [u64; 1 << SLOT_BITS],
    needs: [Option<Abbreviation>; 1 << SLOT_BITS],
}

impl Table {
    const fn new() -> Self {
        let mut table = Self {
            held: [0; 1 << (SLOT_BITS - 6)],
            keys: [0; 1 << SLOT_BITS],
            needs: [None; 1 << SLOT_BITS],
        };
        let mut list = 0;
        while list < ABBREVIATIONS.len() {
            let (needs, words) = (ABBREVIATIONS[list].0, ABBREVIATIONS[list].1.as_bytes());
            let (mut key, mut length, mut at) = (0, 0, 0);
            while at <= words.len() {
                if at < words.len() && words[at] != b' ' {
                    assert!(length < 56, "an abbreviation has at most seven bytes");
                    key |= (words[at] as u64) << length;
                    length += 8;
                } else {
                    let slot = Self::slot(key);
                    assert!(table.keys[slot] == 0, "two abbreviations share a slot: try another multiplier");
                    table.held[slot / 64] |= 1 << (slot % 64);
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

    #[inline]
    fn holds(&self, key: u64) -> bool {
        let slot = Self::slot(key);
        self.held[slot / 64] >> (slot % 64) & 1 == 1 && self.keys[slot] == key
    }
}

/// The abbreviation that a word is, whatever its case.
pub fn abbreviation(word: &str) -> Option<Abbreviation> {
    let mut bytes = [0; 8];
    bytes.get_mut(..word.len())?.copy_from_slice(word.as_bytes());
    bytes.make_ascii_lowercase();
    let key = u64::from_le_bytes(bytes);
    TABLE.needs[Table::slot(key)].filter(|_| TABLE.holds(key))
}

/// All abbreviations.
#[cfg(test)]
pub fn abbreviations() -> impl Iterator<Item = &'static str> {
    ABBREVIATIONS.iter().flat_map(|(_, words)| words.split(' '))
}

/// Those behind which no period ends a sentence.
#[cfg(test)]
pub fn never_last() -> impl Iterator<Item = &'static str> {
    let lists = ABBREVIATIONS.iter().filter(|(needs, _)| *needs == Abbreviation::Never);
    lists.flat_map(|(_, words)| words.split(' '))
}

/// The abbreviation of two parts, written with a space between them: "z. B.", "p. ej.".
pub fn spaced_abbreviation(first: &str, second: &str) -> Option<Abbreviation> {
    let mut bytes = [b'.'; LONGEST];
    let length = first.len() + 1 + second.len();
    bytes.get_mut(..first.len())?.copy_from_slice(first.as_bytes());
    bytes.get_mut(first.len() + 1..length)?.copy_from_slice(second.as_bytes());
    abbreviation(std::str::from_utf8(&bytes[..length]).ok()?)
}

/// What the word before a period that white space follows tells at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The period ends a sentence.
    Plain,
    /// An abbreviation behind which no period ends one.
    NeverLast,
    /// All rules have to be looked at.
    Other,
}

impl Word {
    /// Reads the word at the end of the last eight bytes before a period, the last one highest and zeros before the
    /// step. A plain one is ASCII, no abbreviation, acronym, single letter, number of a list or ordinal number
    /// before `behind`, the four bytes that follow the white space.
    #[inline]
    pub fn read(bytes: u64, behind: impl FnOnce() -> u32) -> Self {
        const EACH: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x80 * EACH;
        // all bytes at once: below, no sum of one byte reaches into the next, as none is beyond ASCII
        if bytes & HIGH != 0 {
            return Self::Other;
        }
        let at_least = |values: u64, least: u8| values + u64::from(128 - least) * EACH;
        let lower = bytes | (0x20 * EACH);
        let letters = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
        let digits = at_least(bytes, b'0') & !at_least(bytes, b'9' + 1);
        let dots = HIGH - (bytes ^ (u64::from(b'.') * EACH));
        let others = !(letters | digits | dots) & HIGH;
        // bits before the word: none for a word longer than any abbreviation, all where no word stands; the key of
        // neither is in the table
        let before = 64 - others.leading_zeros();
        let key = lower.checked_shr(before).unwrap_or(0);
        if before == 56 && (((bytes >> 56) as u8).is_ascii_alphabetic() || key == u64::from(b'1')) {
            return Self::Other;
        }
        let is_dotted = (bytes >> 48) as u8 == b'.';
        if digits >> 63 == 1 {
            return Self::plain_if(!is_dotted && !ordinals::may_be(bytes, digits, behind()));
        }
        if !TABLE.holds(key) {
            return Self::plain_if(!is_dotted);
        }
        match TABLE.needs[Table::slot(key)] {
            Some(Abbreviation::Never) => Self::NeverLast,
            _ => Self::Other,
        }
    }

    #[inline]
    fn plain_if(is_plain: bool) -> Self {
        if is_plain { Self::Plain } else { Self::Other }
    }
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
        | b"you" | b"allora" | b"ahora" | b"agora" | b"alors" | b"dann" | b"danach" | b"daher" | b"damit"
        | b"depois" | b"deshalb" | b"donc" | b"dunque" | b"ensuite" | b"entonces" | b"enfin" | b"infine"
        | b"insgesamt" | b"jetzt" | b"logo" | b"luego" | b"nun" | b"poi" | b"portanto" | b"puis"
        | b"quindi" | b"somit" | b"zuerst" | b"zuletzt" => true,
        _ => false,
    }
}

/// Whether a text begins with a starter that has a capital.
pub fn begins_with_starter(text: &str) -> bool {
    let letters = text.bytes().take(LONGEST + 1).take_while(u8::is_ascii_alphabetic).count();
    text.starts_with(|one: char| one.is_ascii_uppercase()) && is_starter(&text[..letters])
}

/// Whether a word stands before one-letter answers: "the answer is B. Alice …".
pub fn is_before_letter(word: &str) -> bool {
    matches!(
        lower(word, &mut [0; LONGEST]).unwrap_or_default(),
        b"answer"
            | b"antwort"
            | b"are"
            | b"be"
            | b"choice"
            | b"equals"
            | b"est"
            | b"is"
            | b"ist"
            | b"letter"
            | b"option"
            | b"respuesta"
            | b"resposta"
            | b"risposta"
    )
}

/// A word in lower case; None where it is longer than any word of the lists.
pub fn lower<'a>(word: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let lower = buffer.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(lower)
}
