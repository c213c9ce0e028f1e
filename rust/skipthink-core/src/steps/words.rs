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

/// The abbreviation that a word is, whatever its case.
pub fn abbreviation(word: &str) -> Option<Abbreviation> {
    use Abbreviation::{Never, NoDigit, Starter, Upper};
    let found = match lower(word, &mut [0; LONGEST])? {
        b"approx" | b"capt" | b"cf" | b"col" | b"dr" | b"e.g" | b"gen" | b"gov" | b"hon" | b"i.e" | b"lt"
        | b"messrs" | b"mr" | b"mrs" | b"ms" | b"pres" | b"prof" | b"rep" | b"rev" | b"sen" | b"sgt"
        | b"viz" | b"vs" => Never,
        b"art" | b"ch" | b"eq" | b"eqs" | b"ex" | b"fig" | b"figs" | b"no" | b"nos" | b"p" | b"para"
        | b"pp" | b"pt" | b"vol" => NoDigit,
        b"a.m" | b"apr" | b"aug" | b"ave" | b"blvd" | b"bros" | b"co" | b"corp" | b"cu" | b"dec"
        | b"dept" | b"est" | b"etc" | b"feb" | b"fri" | b"ft" | b"hr" | b"hrs" | b"in" | b"inc" | b"incl"
        | b"jan" | b"jr" | b"lb" | b"lbs" | b"ltd" | b"min" | b"mon" | b"nov" | b"oct" | b"oz" | b"p.m"
        | b"prelim" | b"rd" | b"sat" | b"sec" | b"sep" | b"sept" | b"sq" | b"sr" | b"sun" | b"thu"
        | b"thur" | b"thurs" | b"tue" | b"tues" | b"univ" | b"wed" | b"yd" | b"yds" | b"yr" | b"yrs" => Upper,
        b"mt" | b"st" => Starter,
        _ => return None,
    };
    Some(found)
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
