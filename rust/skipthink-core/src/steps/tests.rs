use super::*;
use proptest::prelude::*;

fn steps<'a>(text: &'a str, rules: &Rules) -> Vec<&'a str> {
    let mut ends = Vec::new();
    split_steps(text, rules, &mut ends);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| &text[start..*end]).collect()
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
    split_steps("a\nb", &Rules::Auto, &mut ends);
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

proptest! {
    #[test]
    fn steps_tile_any_text(parts in proptest::collection::vec(prop_oneof![
        proptest::sample::select(vec![
            "$", "$$", "`", "```", "\\[", "\\]", "\\(", "\\)", "\\", "\\begin{a}", "\\end{a}", "<<", ">>", "\n", "\r\n",
            ". ", ".", "! ", "…", "。", "؟ ", "1. ", "**Step 2:**", "A. ", "etc. ", "\u{3000}", "😀", "é", "Then", "x",
        ]).prop_map(str::to_owned), "\\PC{0,6}"], 0..40)) {
        let text = parts.concat();
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
