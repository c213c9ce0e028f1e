//! Ordinal numbers that are written with a period: "am 3. Mai", "im 2. Schritt", "den 3. maj".

use super::words::{begins_with_starter, lower};

/// Digits of an ordinal number at most.
const DIGITS: usize = 3;
/// The longest name or word that is looked up, in bytes.
const LONGEST: usize = 14;

/// Months and days whose names are no English words: German; Danish, Norwegian; Czech; Finnish; Estonian.
const DATES: &str = "januar jänner februar feber märz mai juni juli oktober dezember okt dez montag dienstag \
    mittwoch donnerstag freitag samstag sonnabend sonntag marts maj desember mandag tirsdag onsdag torsdag fredag \
    lørdag søndag ledna února března dubna května června července srpna září října listopadu prosince tammikuuta \
    helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta \
    joulukuuta jaanuar veebruar märts aprill juuni juuli";
/// Those that are English words too: what stands in front of the number tells whether it is a date.
const SHARED: &str = "april august september november december mars jan feb apr aug sept sep nov";
/// What stands in front of a date.
const BEFORE_DATE: &str = "am vom zum ab bis seit den der dem des montag dienstag mittwoch donnerstag freitag \
    samstag sonnabend sonntag til";
/// What stands in front of any other ordinal number.
const BEFORE_ORDINAL: &str = "der die das den dem des im zum zur vom beim jeder jede jedes jeden";
/// What no ordinal number stands in front of, beside the starters.
const BEHIND_NONE: &str = "er sie es wir ich man das der die dies diese dieser dieses ein eine jetzt wie was wenn da \
    hier wer auch aber";

/// Three bytes as one number, in lower case, as bits of a hash: most words are told from all names at once.
struct Beginnings([u64; 1 << (SLOT_BITS - 6)]);

const SLOT_BITS: u32 = 11;
const NAMES: Beginnings = Beginnings::none().with(DATES.as_bytes()).with(SHARED.as_bytes());
/// The last three letters of all words that may stand in front of an ordinal number that is no date; "im" has two.
const LEADS: Beginnings = Beginnings::none().with(b"der die das den dem des zum zur vom eim ede und bis");
const IM: u16 = u16::from_le_bytes(*b"im");

impl Beginnings {
    const fn none() -> Self {
        Self([0; 1 << (SLOT_BITS - 6)])
    }

    /// With the first three bytes of each word.
    const fn with(mut self, words: &[u8]) -> Self {
        let mut at = 0;
        while at + 2 < words.len() {
            if at == 0 || words[at - 1] == b' ' {
                let slot = Self::slot(u32::from_le_bytes([words[at], words[at + 1], words[at + 2], 0]));
                self.0[slot / 64] |= 1 << (slot % 64);
            }
            at += 1;
        }
        self
    }

    const fn slot(bytes: u32) -> usize {
        (((bytes & 0xFF_FFFF) | 0x20_2020).wrapping_mul(0x27D4_EB2F) >> (32 - SLOT_BITS)) as usize
    }

    #[inline]
    const fn may_hold(&self, bytes: u32) -> bool {
        let slot = Self::slot(bytes);
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }
}

/// Whether a period may stand behind an ordinal number; quick and without branches, and true where there is need to
/// look twice. `last`: the eight bytes before the period, the last one highest, zeros before the step; `digits`: the
/// highest bit of each of them that is a digit; `behind`: the first four bytes of what follows, the first one lowest.
#[inline]
pub fn may_be(last: u64, digits: u64, behind: u32) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let length = (!digits & HIGH).leading_zeros();
    let front = last.checked_shl(length).unwrap_or(0);
    let [.., third, space] = front.to_le_bytes();
    let is_space = |byte: u8| (byte == b' ') | (byte.wrapping_sub(b'\t') < 5);
    let is_im = (front >> 40) as u16 | 0x2020 == IM;
    let may_lead = LEADS.may_hold((front >> 32) as u32) | is_im | is_space(third);
    // quotes and brackets may open what is behind
    let may_open = !(behind as u8).is_ascii_alphanumeric();
    (length > 0) & (NAMES.may_hold(behind) | may_open | (is_space(space) & may_lead))
}

/// Whether the number before the period at `at`, in a step that starts at `start`, is an ordinal number of what is
/// behind.
pub fn is_ordinal(text: &str, start: usize, at: usize, behind: &str) -> bool {
    let step = &text[start..at];
    let digits = step.bytes().rev().take(DIGITS + 1).take_while(u8::is_ascii_digit).count();
    let before = &step[..step.len() - digits];
    let is_number = before.is_empty() || before.ends_with(|one: char| one.is_whitespace() || one == '(');
    if !(1..=DIGITS).contains(&digits) || !is_number {
        return false;
    }
    let before = before.trim_end();
    let may_be_date = digits <= 2
        && matches!(*behind.as_bytes(), [a, b, c, ..] if NAMES.may_hold(u32::from_le_bytes([a, b, c, 0])));
    let lead = last_word(before);
    if before.is_empty() || (lead.is_empty() && !may_be_date) {
        return false; // a number at the beginning is the marker of a list
    }
    let (mut name, mut lead_buffer) = ([0; LONGEST], [0; LONGEST]);
    let name = lower(first_word(behind), &mut name).unwrap_or_default();
    let lead = lower(lead, &mut lead_buffer).unwrap_or_default();
    if may_be_date {
        let is_dated = || is_in(BEFORE_DATE, lead) || before.ends_with([',', ':', '(']);
        if is_in(DATES, name) || (is_in(SHARED, name) && is_dated()) {
            return true;
        }
    }
    !name.is_empty()
        && (is_in(BEFORE_ORDINAL, lead) || goes_on(before))
        && !is_in(BEHIND_NONE, name)
        && !begins_with_starter(behind)
}

fn is_in(words: &str, word: &[u8]) -> bool {
    words.split(' ').any(|one| one.as_bytes() == word)
}

/// Latin letters at the beginning of a text; none where they are more than any name.
fn first_word(text: &str) -> &str {
    let length =
        text.bytes().take(LONGEST + 1).take_while(|one| one.is_ascii_alphabetic() || *one >= 0x80).count();
    text.get(..length).filter(|word| length <= LONGEST && word.chars().all(is_latin)).unwrap_or_default()
}

/// ASCII letters at the end of a text; none where they are more than any word of the lists.
fn last_word(text: &str) -> &str {
    let length = text.bytes().rev().take(LONGEST + 1).take_while(u8::is_ascii_alphabetic).count();
    if length > LONGEST { "" } else { &text[text.len() - length..] }
}

/// Letters of ASCII, and those with accents.
pub fn is_latin(one: char) -> bool {
    one.is_ascii_alphabetic() || matches!(one, 'À'..='ɏ' if !matches!(one, '×' | '÷'))
}

/// "1. und" before "2. Platz".
fn goes_on(before: &str) -> bool {
    ["und", "bis", "oder"].iter().any(|word| {
        let first = before.strip_suffix(word).filter(|first| first.ends_with(char::is_whitespace));
        first.is_some_and(|first| matches!(first.trim_end().as_bytes(), [.., b'0'..=b'9', b'.']))
    })
}
