use super::*;
use proptest::prelude::*;

fn steps<'a>(text: &'a str, rules: &Rules) -> Vec<&'a str> {
    let mut ends = Vec::new();
    Splitter::new(rules).split(text, &mut ends);
    let mut at = 0;
    let bytes = |points| text.char_indices().nth(points).map_or(text.len(), |(byte, _)| byte);
    ends.iter().map(|end| &text[std::mem::replace(&mut at, bytes(*end as usize))..at]).collect()
}

fn auto(text: &str) -> Vec<&str> {
    steps(text, &Rules::Auto)
}

#[test]
fn lines_then_sentences() {
    assert_eq!(auto("\nA is 3. So 4!\n\nDone. "), ["\nA is 3. ", "So 4!\n\n", "Done. "]);
    assert_eq!(steps("A is 3. So 4!\nDone.", &Rules::Lines), ["A is 3. So 4!\n", "Done."]);
    assert_eq!(steps("It is\nthree. Yes.\n\nso", &Rules::Sentences), ["It is\nthree. ", "Yes.\n\n", "so"]);
}

#[test]
fn separators_end_steps_the_longest_first() {
    let bars = Rules::Separators(vec!["|".into(), "||".into(), "b|".into()]);
    assert_eq!(steps("a||b| c|", &bars), ["a||", "b| ", "c|"]);
    assert_eq!(steps("  | |x", &bars), ["  | ", "|", "x"]);
    let blank = Rules::Separators(vec!["\n\n".into()]);
    assert_eq!(steps("\n\na\nb\n\n\n\nc\n\n", &blank), ["\n\na\nb\n\n\n\n", "c\n\n"]);
}

#[test]
fn white_space_has_no_step() {
    for rules in [Rules::Auto, Rules::Lines, Rules::Sentences, Rules::Separators(vec![" ".into()])] {
        assert!(steps("", &rules).is_empty());
        assert!(steps(" \r\n\t\u{3000}\n", &rules).is_empty());
    }
}

#[test]
fn ends_are_appended() {
    let mut ends = vec![7];
    Splitter::new(&Rules::Auto).split("é\nb", &mut ends);
    assert_eq!(ends, [7, 2, 3]);
}

#[test]
fn protected_spans_are_whole() {
    assert_eq!(auto("So\n\\[\na. B\n\\]\nthen"), ["So\n", "\\[\na. B\n\\]\n", "then"]);
    assert_eq!(
        auto("\\begin{a}\n\\begin{b}\n\\end{b}\n\n\\end{a}\nC"),
        ["\\begin{a}\n\\begin{b}\n\\end{b}\n\n\\end{a}\n", "C"]
    );
    assert_eq!(auto("```\na. B\n\nc\n```\nD"), ["```\na. B\n\nc\n```\n", "D"]);
    assert_eq!(
        auto("It is $a. B$ and `c. D`. So \\(e. F\\). G"),
        ["It is $a. B$ and `c. D`. ", "So \\(e. F\\). ", "G"]
    );
}

#[test]
fn openers_without_closers_swallow_nothing() {
    for opener in ["$", "$$", "`", "```", "\\[", "\\(", "\\begin{a}", "<<", "\\", "\\\\["] {
        let text = format!("A {opener} b. C\nD");
        assert_eq!(auto(&text), [&format!("A {opener} b. "), "C\n", "D"]);
    }
}

/// Ends by the rules with each way to read that this machine has.
fn ends_by_every_way(text: &str) -> Vec<Vec<i64>> {
    let ends = |arch| {
        let mut ends = Vec::new();
        Splitter::on(arch, &Rules::Auto).split(text, &mut ends);
        ends
    };
    scan::ways().into_iter().map(ends).collect()
}

#[test]
fn every_way_to_read_finds_the_candidates() {
    let is_candidate = |byte: &u8| b"\n`$\\<.!?\xD6\xD8\xDB\xE0\xE1\xE2\xE3\xEF".contains(byte);
    // every byte at every place of a block, and every length up to three of them
    let bytes: Vec<u8> = (0..=255).cycle().step_by(7).take(Window::SIZE + 64).collect();
    for arch in scan::ways() {
        let mut window = Window::new(arch);
        for length in (0..200).chain([Window::SIZE - 1, Window::SIZE]) {
            for start in 0..64 {
                let text = &bytes[..start + length];
                assert_eq!(window.read(text, start), text[start..].is_ascii());
                assert_eq!(window.end(), text.len());
                let (mut found, mut at) = (Vec::new(), start);
                while let Some(next) = window.next(at) {
                    found.push(next);
                    at = next + 1;
                }
                let expected: Vec<usize> =
                    (start..text.len()).filter(|at| is_candidate(&text[*at])).collect();
                assert_eq!(found, expected, "{arch:?} {start} {length}");
            }
        }
    }
}

#[test]
fn every_way_to_read_finds_white_space() {
    let text: String = (0..2000)
        .map(|at| {
            if at % 97 < 60 {
                " \t\n\r\u{B}\u{C}\0\u{1C}x\u{85}é\u{3000}".chars().nth(at * at % 12)
            } else {
                Some(' ')
            }
            .unwrap()
        })
        .collect();
    for arch in scan::ways() {
        let mut window = Window::new(arch);
        window.read(text.as_bytes(), 3);
        for at in (3..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(window.after_space(&text, at), text.len() - text[at..].trim_start().len());
        }
    }
}

#[test]
fn steps_pass_over_windows() {
    // every length of a step beside every window's edge, protected spans beyond several windows, é behind one
    for length in 1..100 {
        let sentence = format!("{}a. ", "x".repeat(length));
        let text = sentence.repeat(10_000 / length);
        assert!(auto(&text).iter().all(|step| step.trim_end() == sentence.trim_end()));
    }
    for size in [0, 1, 4000, 4095, 4096, 4097, 9000, 20_000] {
        let code = format!("```{}\n``` ", "é.\n".repeat(size));
        assert_eq!(auto(&format!("{code}é. B")), [format!("{code}é. "), "B".into()]);
    }
}

#[test]
fn words_before_a_period_are_read_alike() {
    // what needs no second look, compared with the rules themselves
    let words = [
        "", "e.g", "U.S", "no", "No", "PRELIM", "thurs", "x", "A", "1", "12", "apples", "a.b", "x.1", ")",
        "Dr", "e.e.g", "approx", "3", "31",
    ];
    let pairs = ["", "so ", "it is (", ": ", "é", "10 cups,", "z. ", "p. ", "am ", "1. und "]
        .into_iter()
        .flat_map(|one| words.map(|word| (one, word)));
    for ((before, word), behind) in
        pairs.flat_map(|pair| ["Bob", "bob", "Mai", "B. x", "3", "é"].map(|one| (pair, one)))
    {
        for start in (0..=before.len()).filter(|start| before.is_char_boundary(*start)) {
            let text = format!("{before}{word}. {behind}");
            let at = before.len() + word.len();
            let expected = match sentence::word_before(text.as_bytes(), start, at, at + 2) {
                Word::Plain => Ok(at + 1),
                Word::NeverLast => Err(at + 1),
                Word::Other => continue,
            };
            assert_eq!(sentence::end(&text, start, at), expected, "{text} from {start}");
        }
    }
}

#[test]
fn abbreviations_that_end_no_sentence_are_no_second_parts() {
    // so that no look at the word in front of them is needed
    for word in words::never_last() {
        let ending = format!(".{word}");
        assert!(words::abbreviations().all(|one| !one.ends_with(&ending)), "{word}");
        assert!(!word.ends_with(|one: char| one.is_ascii_digit()) && word.len() > 1, "{word}");
    }
}

#[test]
fn marks_are_read_alike() {
    // the quick rules of `period` and `shout`, compared with the rules themselves
    let behinds = [
        "a",
        "A",
        "3",
        " a",
        " A",
        "\na",
        "\n A",
        "  B",
        "",
        " ",
        "é",
        " é",
        " = 1",
        "…",
        ".",
        "\u{3000}a",
        "\"",
    ];
    for before in ["", "a", "3", "A", ")", "é", "中", "e", " ", "so."] {
        for (mark, behind) in [".", "!", "?"].iter().flat_map(|mark| behinds.map(|behind| (*mark, behind))) {
            let text = format!("So it is {before}{mark}{behind}");
            let at = text.len() - behind.len() - 1;
            let [quick, full] = [true, false].map(|is_quick| {
                let (mut ends, mut window) = (Vec::new(), Window::new(Arch::new()));
                window.read(text.as_bytes(), 0);
                let (ends_found, window) = (&mut ends, &mut window);
                let mut cutter =
                    Cutter { text: &text, start: 0, ends: ends_found, window, has_khmer_marks: None };
                let next = match mark {
                    _ if !is_quick => cutter.terminator(at),
                    "." => cutter.period(at),
                    _ => cutter.shout(at),
                };
                // where no text is left, going on makes no difference
                (ends, next.min(text.trim_end().len()))
            });
            assert_eq!(quick, full, "{text:?}");
        }
    }
}

#[test]
fn every_way_to_read_gives_the_same_steps_of_real_rationales() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let Ok(files) = std::fs::read_dir(folder) else {
        eprintln!("skipped: the real rationales are not beside the checkout");
        return;
    };
    for file in files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|one| one == "jsonl"))
    {
        // lines of JSON are texts as good as any; their line breaks are escaped
        let text = std::fs::read_to_string(&file).unwrap().replace("\\n", "\n");
        for row in text.split("\n{") {
            let found = ends_by_every_way(row);
            assert!(found.iter().all(|ends| *ends == found[0]), "{row}");
        }
        let found = ends_by_every_way(&text);
        assert!(found.iter().all(|ends| *ends == found[0]), "{}", file.display());
    }
}

fn texts() -> impl Strategy<Value = String> {
    let marks = [
        "$",
        "$$",
        "`",
        "```",
        "\\[",
        "\\]",
        "\\(",
        "\\)",
        "\\",
        "\\begin{a}",
        "\\end{a}",
        "<<",
        ">>",
        "\n",
        "\r\n",
        ". ",
        ".",
        "! ",
        "…",
        "。",
        "؟ ",
        "1. ",
        "**Step 2:**",
        "A. ",
        "etc. ",
        "\u{3000}",
        "😀",
        "é",
        "Then",
        "x",
        " apples and pears",
    ];
    let parts = prop_oneof![proptest::sample::select(marks.to_vec()).prop_map(str::to_owned), "\\PC{0,6}"];
    proptest::collection::vec(parts, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn every_way_to_read_gives_the_same_steps(text in texts(), times in 1_usize..40) {
        let found = ends_by_every_way(&text.repeat(times));
        prop_assert!(found.iter().all(|ends| *ends == found[0]));
    }

    #[test]
    fn steps_tile_any_text(text in texts()) {
        for rules in [Rules::Auto, Rules::Lines, Rules::Sentences, Rules::Separators(vec!["$".into(), "é".into()])] {
            let steps = steps(&text, &rules);
            prop_assert_eq!(steps.concat(), if text.trim().is_empty() { "" } else { &text });
            prop_assert!(steps.iter().all(|step| !step.trim().is_empty()));
            prop_assert!(steps.iter().skip(1).all(|step| !step.starts_with(char::is_whitespace)));
        }
    }

    #[test]
    fn lines_end_where_lines_end(text in "[a \n.]{0,30}") {
        let expected = text.lines().filter(|line| !line.trim().is_empty()).count();
        prop_assert_eq!(steps(&text, &Rules::Lines).len(), expected);
    }
}
