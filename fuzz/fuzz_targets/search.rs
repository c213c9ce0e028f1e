//! A search takes any numbers: it refuses them, or gives boundaries whose J is no higher than where it started.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skipthink_core::{
    Anneal, Cuts, Greedy, Losses, Method, Numbers, Objective, Offsets, Scope, SearchOptions,
    check_boundaries, find_boundaries,
};

#[derive(Debug, Arbitrary)]
struct Input {
    single: Option<Vec<f32>>,
    double: Vec<f64>,
    offsets: Vec<i32>,
    per_stage: bool,
    weights: Option<Vec<f64>>,
    ends: Option<(Vec<f64>, Vec<i64>)>,
    init: Option<Vec<i64>>,
    m: u8,
    min_steps: u8,
    method: u8,
    objective: u8,
    balance: f64,
    eta: f64,
    seed: u64,
}

fuzz_target!(|input: Input| {
    let m = usize::from(input.m % 12);
    let n_stages = if input.per_stage { m } else { 1 };
    let values = input.single.as_deref().map_or(Numbers::Double(&input.double), Numbers::Single);
    if n_stages == 0 || values.len() > 4096 || input.offsets.len() > 64 {
        return;
    }
    let Ok(steps) = Offsets::new("losses", Cuts::Narrow(&input.offsets), values.len() / n_stages) else {
        return;
    };
    let places = values.len() / n_stages;
    if input.weights.as_ref().is_some_and(|weights| weights.len() < places) {
        return;
    }
    let ends = match &input.ends {
        Some((ends, offsets)) => match Offsets::new("end_losses", Cuts::Wide(offsets), ends.len() / m.max(1))
        {
            Ok(offsets) => Some((Numbers::Double(ends), offsets)),
            Err(_) => return,
        },
        None => None,
    };
    let losses =
        Losses { values, n_stages, steps, weights: input.weights.as_deref().map(Numbers::Double), ends };
    let greedy = |scope| Method::Greedy(Greedy { scope, max_sweeps: 20 });
    let options = SearchOptions {
        method: match input.method % 5 {
            0 => Method::Average,
            1 => greedy(Scope::Pair),
            2 => greedy(Scope::Left),
            3 => Method::Anneal(Anneal { moves: 50, width: 2, start: 0.5, end: 0.001 }),
            _ => Method::Optimal,
        },
        objective: [Objective::Mean, Objective::Variance, Objective::Max, Objective::Mass]
            [usize::from(input.objective % 4)],
        // larger ones swallow all losses, and their sums are not finite
        balance: if input.balance.abs() < 1e100 { input.balance } else { 0.0 },
        eta: input.eta,
        min_steps: usize::from(input.min_steps),
        seed: input.seed,
        first_row: 0,
    };
    let Ok(found) = find_boundaries(&losses, m, input.init.as_deref(), &options, 1) else { return };
    check_boundaries("found", &found.boundaries, m, |row| steps.row(row).len()).expect("boundaries");
    for (row, (objective, initial)) in found.objective.iter().zip(&found.initial).enumerate() {
        let searched = steps.row(row).len() >= m * options.min_steps;
        assert_eq!(found.searched[row], searched, "short rows keep their start");
        assert!(objective.is_finite() || steps.row(row).is_empty(), "J is a number: {objective}");
        if options.method != greedy(Scope::Left) {
            assert!(objective <= initial, "no search ends above its start: {objective} > {initial}");
        }
    }
});
