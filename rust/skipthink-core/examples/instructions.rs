//! Runs one operation of the core on fixed input, for counting instructions: `instructions OPERATION REPEATS`.
//! With 0 repeats it only makes the input, so a difference of two counts is that of the operation.

use std::hint::black_box;

use skipthink_core::{
    Anneal, Greedy, Ledger, Losses, Method, Numbers, Objective, Offsets, PieceKind, PlanOptions, PlanRows,
    Rules, Scheme, Scope, SearchOptions, SplitMix64, Splitter, Thought, average_boundaries, find_boundaries,
};

const SENTENCES: [&str; 8] = [
    "First, Anna buys 12 apples at $1.50 each, i.e. she pays $18.00 in all. ",
    "Wait, that is not quite right: she had 3 apples before. ",
    "So the total is \\(12 + 3 = 15\\) apples.\n",
    "Dr. Brown says \"take two a day\", which makes 14 a week. ",
    "- The rest, 1,000 - 250 = <<1000-250=750>>750, goes to the bank.\n",
    "Therefore 5! = 120 ways are left, e.g. those that begin with A... ",
    "Is that all? No, the last one is missing! ",
    "The answer is B.\n\n",
];

/// An operation and what it runs on: K steps per row (ragged where 0), M chunks, rows.
const SEARCHES: [(&str, usize, usize, usize); 11] = [
    ("optimal-variance-8", 8, 4, 256),
    ("optimal-variance-64", 64, 8, 16),
    ("optimal-variance-512", 512, 8, 1),
    ("optimal-variance-4096", 4096, 8, 1),
    ("optimal-variance-ragged", 0, 4, 256),
    ("optimal-mean-weights-64", 64, 8, 16),
    ("optimal-mean-weights-512", 512, 8, 1),
    ("optimal-mean-stages-64", 64, 8, 16),
    ("optimal-max-64", 64, 8, 16),
    ("greedy-mean-ragged", 0, 4, 256),
    ("anneal-mean-ragged", 0, 4, 16),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(repeats)) = (arguments.next(), arguments.next()) else {
        // what there is to run, and the vector unit that is chosen on this machine
        println!("{:?}", pulp::Arch::new());
        let searches = SEARCHES.iter().map(|(name, ..)| *name);
        for name in searches.chain(["split-short", "split-long", "plan-items", "skip-ledger"]) {
            println!("{name}");
        }
        return;
    };
    let repeats = repeats.parse().expect("REPEATS is a whole number");
    match name.as_str() {
        "split-short" => split(420, 64, repeats),
        "split-long" => split(25_000, 2, repeats),
        "plan-items" => plan_items(repeats),
        "skip-ledger" => skip_ledger(repeats),
        name => search(name, repeats),
    }
}

fn split(n_bytes: usize, n_texts: usize, repeats: usize) {
    let mut random = SplitMix64(1);
    let texts: Vec<String> = (0..n_texts)
        .map(|_| {
            let mut text = String::new();
            while text.len() < n_bytes {
                text.push_str(SENTENCES[random.next_u64() as usize % SENTENCES.len()]);
            }
            text
        })
        .collect();
    for _ in 0..repeats {
        let mut ends = Vec::new();
        let mut splitter = Splitter::new(&Rules::Auto);
        for text in &texts {
            splitter.split(black_box(text), &mut ends);
        }
        black_box(ends);
    }
}

fn search(name: &str, repeats: usize) {
    let Some((_, k, m, n_rows)) = SEARCHES.iter().find(|(search, ..)| *search == name) else {
        panic!("there is no operation {name}");
    };
    let mut random = SplitMix64(2);
    let offsets = row_offsets(*k, *n_rows, &mut random);
    let n_steps = offsets[*n_rows] as usize;
    let n_stages = if name.contains("stages") { *m } else { 1 };
    let losses: Vec<f64> = (0..n_steps * n_stages).map(|_| 4.0 * random.next_unit().powi(3)).collect();
    let weights: Vec<f64> = (0..n_steps).map(|_| (5 + random.next_u64() % 35) as f64).collect();
    let objective = match name {
        name if name.contains("variance") => Objective::Variance,
        name if name.contains("max") => Objective::Max,
        _ => Objective::Mean,
    };
    let method = match name {
        name if name.starts_with("greedy") => Method::Greedy(Greedy { scope: Scope::Pair, max_sweeps: 100 }),
        name if name.starts_with("anneal") => {
            Method::Anneal(Anneal { moves: 1000, width: 2, start: 0.5, end: 0.001 })
        }
        _ => Method::Optimal,
    };
    let options =
        SearchOptions { method, objective, balance: 0.0, eta: 0.0, min_steps: 1, seed: 0, first_row: 0 };
    for _ in 0..repeats {
        let losses = Losses {
            values: Numbers::Double(black_box(&losses)),
            n_stages,
            steps: Offsets::new("losses", &offsets[..], n_steps).expect("offsets are sound"),
            weights: (objective != Objective::Variance).then_some(Numbers::Double(&weights)),
            ends: None,
        };
        black_box(find_boundaries(&losses, *m, None, &options, 1).expect("losses are sound"));
    }
}

fn plan_items(repeats: usize) {
    const M: usize = 4;
    let mut random = SplitMix64(3);
    let offsets = row_offsets(0, 256, &mut random);
    let n_steps: Vec<i64> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let boundaries = average_boundaries(&n_steps, M);
    let tokens: Vec<i64> = n_steps.iter().flat_map(|k| (0..=*k).map(|step| step * 9)).collect();
    let token_offsets: Vec<i64> =
        offsets.iter().zip(0..).map(|(offset, row): (_, i64)| offset + row).collect();
    let counts = vec![30; n_steps.len()];
    let options =
        PlanOptions { scheme: Scheme::Chunkwise, thought: Thought::PerChunk, chunk_dropout: 0.0, seed: 0 };
    for _ in 0..repeats {
        let rows = PlanRows {
            boundaries: black_box(&boundaries),
            m: M,
            step_tokens: (
                &tokens,
                Offsets::new("tokens", &token_offsets[..], tokens.len()).expect("offsets are sound"),
            ),
            n_question: &counts,
            n_answer: &counts,
            skipped: None,
        };
        let planned = skipthink_core::plan_items(&rows, &options, 1).expect("rows are sound");
        assert_eq!(planned.pieces[0], PieceKind::Stage as i64);
        black_box(planned);
    }
}

fn skip_ledger(repeats: usize) {
    const M: usize = 4;
    let boundaries = average_boundaries(&vec![12; 1024], M);
    for _ in 0..repeats {
        let mut ledger = Ledger::new(black_box(&boundaries), M).expect("boundaries are sound");
        while !ledger.done() {
            let (rows, chunks) = ledger.next_batch(128);
            let right: Vec<bool> =
                rows.iter().zip(&chunks).map(|(row, chunk)| (row * 7 + chunk * 3) % 5 != 0).collect();
            ledger.record(&rows, &chunks, &right).expect("answers fit the questions");
        }
        black_box(ledger.asked());
    }
}

/// Offsets of rows of K steps, or of 4 to 20 where K is 0.
fn row_offsets(k: usize, n_rows: usize, random: &mut SplitMix64) -> Vec<i64> {
    let mut offsets = vec![0];
    for row in 0..n_rows {
        let steps = if k > 0 { k as i64 } else { 4 + (random.next_u64() % 17) as i64 };
        offsets.push(offsets[row] + steps);
    }
    offsets
}
