//! Search against brute force, on every vector unit of the machine.

use proptest::prelude::*;

use super::*;
use crate::ragged::{Numbers, Offsets};

/// A batch with everything that losses may bring along.
#[derive(Debug, Clone)]
struct Batch {
    m: usize,
    n_stages: usize,
    values: Vec<f64>,
    offsets: Vec<i64>,
    weights: Option<Vec<f64>>,
    ends: Option<Vec<f64>>,
}

impl Batch {
    /// Numbers from a small lattice come out equal often, so that there are ties.
    fn new(lengths: &[usize], m: usize, per_stage: bool, weighted: bool, ends: bool, seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let mut draw = |n: usize, steps: f64, scale: f64| -> Vec<f64> {
            (0..n).map(|_| (random.next_unit() * steps).floor() * scale).collect()
        };
        let n_stages = if per_stage { m } else { 1 };
        let total: usize = lengths.iter().sum();
        let offsets = std::iter::once(0).chain(lengths.iter().scan(0, |sum, k| {
            *sum += *k as i64;
            Some(*sum)
        }));
        Self {
            m,
            n_stages,
            offsets: offsets.collect(),
            values: draw(total * n_stages, 30.0, 0.1),
            weights: weighted.then(|| draw(total, 6.0, 1.0)),
            ends: ends.then(|| draw((total + lengths.len()) * m, 30.0, 0.1)),
        }
    }

    fn find(&self, paths: Paths, objective: Objective, min_steps: usize, threads: usize) -> Found {
        self.find_balanced(paths, objective, 0.0, min_steps, threads)
    }

    fn find_balanced(
        &self,
        paths: Paths,
        objective: Objective,
        balance: f64,
        min_steps: usize,
        threads: usize,
    ) -> Found {
        self.find_by(Method::Optimal, paths, objective, balance, min_steps, threads)
    }

    fn find_by(
        &self,
        method: Method,
        paths: Paths,
        objective: Objective,
        balance: f64,
        min_steps: usize,
        threads: usize,
    ) -> Found {
        let end_offsets: Vec<i64> =
            self.offsets.iter().enumerate().map(|(row, cut)| cut + row as i64).collect();
        let losses = Losses {
            values: Numbers::Double(&self.values),
            n_stages: self.n_stages,
            steps: Offsets::new("losses", &self.offsets[..], self.values.len() / self.n_stages).unwrap(),
            weights: self.weights.as_deref().map(Numbers::Double),
            ends: self.ends.as_deref().map(|ends| {
                let offsets = Offsets::new("end_losses", &end_offsets[..], ends.len() / self.m).unwrap();
                (Numbers::Double(ends), offsets)
            }),
        };
        let options =
            SearchOptions { method, objective, balance, eta: 0.0, min_steps, seed: 0, first_row: 0 };
        find_boundaries_on(paths, &losses, self.m, None, &options, threads).unwrap()
    }

    /// J of boundaries, each chunk summed anew in two passes.
    fn objective(&self, objective: Objective, balance: f64, row: usize, cuts: &[usize]) -> f64 {
        let begin = self.offsets[row] as usize;
        let k = cuts[cuts.len() - 1];
        let charge = |n: usize| balance * ((n * self.m) as f64 / k as f64 - 1.0).powi(2);
        let share = self.share(row);
        let weight = |step: usize| self.weights.as_ref().map_or(1.0, |weights| weights[begin + step]);
        let cost = |m: usize, start: usize, end: usize| {
            let stage = if self.n_stages == 1 { 0 } else { m };
            let loss = |step: usize| self.values[(begin + step) * self.n_stages + stage];
            let mass: f64 = (start..end).map(|step| weight(step) * loss(step)).sum();
            let total: f64 = (start..end).map(weight).sum();
            let mean = if total > 0.0 { mass / total } else { 0.0 };
            match (&self.ends, objective) {
                (_, Objective::Variance) => {
                    (start..end).map(|step| weight(step) * (loss(step) - mean).powi(2)).sum()
                }
                (_, Objective::Mass) => (if share > 0.0 { mass / share } else { 0.0 } - 1.0).powi(2),
                (Some(ends), _) => (mass + ends[(begin + row + end) * self.m + m]) / (total + 1.0),
                (None, _) => mean,
            }
        };
        let costs = cuts
            .windows(2)
            .enumerate()
            .map(|(m, pair)| cost(m, pair[0], pair[1]) + charge(pair[1] - pair[0]));
        if objective == Objective::Max { costs.fold(f64::NEG_INFINITY, f64::max) } else { costs.sum() }
    }

    /// An even share of a row's loss, as the mean of the stages.
    fn share(&self, row: usize) -> f64 {
        let steps = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let weight = |step: usize| self.weights.as_ref().map_or(1.0, |weights| weights[step]);
        let stages = |step: usize| &self.values[step * self.n_stages..][..self.n_stages];
        let mass: f64 = steps.map(|step| weight(step) * stages(step).iter().sum::<f64>()).sum();
        mass / (self.m * self.n_stages) as f64
    }

    /// The least J of all boundaries that keep `min_steps`.
    fn least(
        &self,
        objective: Objective,
        balance: f64,
        row: usize,
        min_steps: usize,
        cuts: &mut Vec<usize>,
    ) -> f64 {
        let k = (self.offsets[row + 1] - self.offsets[row]) as usize;
        let from = cuts[cuts.len() - 1] + min_steps;
        if cuts.len() == self.m {
            if from > k {
                return f64::INFINITY;
            }
            cuts.push(k);
            let found = self.objective(objective, balance, row, cuts);
            cuts.pop();
            return found;
        }
        (from..=k).fold(f64::INFINITY, |least, cut| {
            cuts.push(cut);
            let found = self.least(objective, balance, row, min_steps, cuts);
            cuts.pop();
            least.min(found)
        })
    }
}

/// What this machine can run.
fn arches() -> Vec<pulp::Arch> {
    let mut found = vec![pulp::Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        found.extend(pulp::x86::V3::try_new().map(pulp::Arch::V3));
        found.extend(pulp::x86::V4::try_new().map(pulp::Arch::V4));
    }
    #[cfg(target_arch = "aarch64")]
    found.extend(pulp::aarch64::Neon::try_new().map(pulp::Arch::Neon));
    found
}

const METHODS: [Method; 4] = [
    Method::Optimal,
    Method::Greedy(Greedy { scope: Scope::Pair, max_sweeps: 100 }),
    Method::Greedy(Greedy { scope: Scope::Left, max_sweeps: 5 }),
    Method::Anneal(Anneal { moves: 50, width: 2, start: 0.5, end: 0.001 }),
];

const OBJECTIVES: [Objective; 4] = [Objective::Mean, Objective::Variance, Objective::Max, Objective::Mass];

fn flags() -> impl Strategy<Value = (bool, bool, bool)> {
    (any::<bool>(), any::<bool>(), any::<bool>())
}

proptest! {
    #[test]
    fn optimal_is_the_least_of_all(
        lengths in proptest::collection::vec(1usize..10, 1..20),
        (m, min_steps) in (1usize..5, 0usize..3),
        (per_stage, weighted, ends) in flags(),
        objective in proptest::sample::select(&OBJECTIVES[..]),
        balance in proptest::sample::select(&[0.0, 0.25, 3.0][..]),
        seed in any::<u64>(),
    ) {
        let batch = Batch::new(&lengths, m, per_stage, weighted, ends, seed);
        let found = batch.find_balanced(Paths::default(), objective, balance, min_steps, 1);
        for (row, k) in lengths.iter().enumerate() {
            prop_assert_eq!(found.searched[row], *k >= m * min_steps);
            if found.searched[row] {
                let least = batch.least(objective, balance, row, min_steps, &mut vec![0]);
                prop_assert!((found.objective[row] - least).abs() <= 1e-12 * (1.0 + least));
            }
            let cuts: Vec<usize> = found.boundaries[row * (m + 1)..][..=m].iter().map(|cut| *cut as usize).collect();
            let again = batch.objective(objective, balance, row, &cuts);
            prop_assert!((found.objective[row] - again).abs() <= 1e-12 * (1.0 + again));
        }
    }

    #[test]
    fn every_path_and_thread_count_finds_the_same(
        lengths in proptest::collection::vec(prop_oneof![1usize..40, 1usize..300], 1..30),
        (m, min_steps) in (1usize..7, 0usize..4),
        (per_stage, weighted, ends) in flags(),
        objective in proptest::sample::select(&OBJECTIVES[..]),
        balance in proptest::sample::select(&[0.0, 0.25, 3.0][..]),
        method in prop_oneof![Just(Method::Optimal), proptest::sample::select(&METHODS[..])],
        seed in any::<u64>(),
    ) {
        let batch = Batch::new(&lengths, m, per_stage, weighted, ends, seed);
        let plain = Paths { arch: pulp::Arch::Scalar, ..Paths::default() };
        let expected = batch.find_by(method, plain, objective, balance, min_steps, 1);
        for arch in arches() {
            for (short, threads) in [(0, 1), (24, 3), (64, 1)] {
                let paths = Paths { arch, short, ..plain };
                let found = batch.find_by(method, paths, objective, balance, min_steps, threads);
                prop_assert_eq!(&found.boundaries, &expected.boundaries);
                prop_assert_eq!(&found.objective, &expected.objective);
                prop_assert_eq!(&found.initial, &expected.initial);
            }
        }
    }

    #[test]
    fn starts_are_forgotten_without_loss(
        lengths in proptest::collection::vec(prop_oneof![1usize..40, 1usize..300], 1..30),
        m in 1usize..7,
        weighted in any::<bool>(),
        steps in prop_oneof![Just(3.0), Just(30.0), Just(1e9)],
        seed in any::<u64>(),
    ) {
        let mut batch = Batch::new(&lengths, m, false, weighted, false, seed);
        let mut random = SplitMix64(seed);
        batch.values.iter_mut().for_each(|loss| *loss = (random.next_unit() * steps).floor() * (3.0 / steps));
        let expected = batch.find(Paths::default(), Objective::Variance, 1, 1);
        for arch in arches() {
            let forgetting = Paths { arch, short: 0, long: 0 };
            let found = batch.find(forgetting, Objective::Variance, 1, 1);
            for row in 0..lengths.len() {
                let least = expected.objective[row];
                prop_assert!((found.objective[row] - least).abs() <= 1e-12 * least + 1e-13, "row {row}");
            }
            if steps > 1e6 {
                prop_assert_eq!(&found.boundaries, &expected.boundaries); // nothing is equal by chance
            }
        }
    }
}

/// Losses of mean 50 and spread 0.1: prefix sums of squares lose 7 digits here.
#[test]
fn long_rows_far_from_zero_stay_exact() {
    let (k, m) = (4096, 8);
    let mut random = SplitMix64(7);
    let losses: Vec<f64> = (0..k).map(|_| 50.0 + 0.1 * (random.next_unit() - 0.5)).collect();
    let mut batch = Batch::new(&[k], m, false, false, false, 0);
    let shifted: Vec<f64> = losses.iter().map(|loss| loss - 50.0).collect();
    // chunks of two steps at least: starts are not forgotten
    for min_steps in [1, 2] {
        batch.values.clone_from(&shifted);
        let expected = batch.find(Paths::default(), Objective::Variance, min_steps, 1);
        batch.values.clone_from(&losses);
        let found = batch.find(Paths::default(), Objective::Variance, min_steps, 1);
        // `loss - 50.0` is exact, so both rows have the same costs but for rounding
        assert!((found.objective[0] - expected.objective[0]).abs() <= 1e-12 * expected.objective[0]);
        let cuts: Vec<usize> = found.boundaries.iter().map(|cut| *cut as usize).collect();
        batch.values.clone_from(&shifted);
        let again = batch.objective(Objective::Variance, 0.0, 0, &cuts);
        assert!((again - expected.objective[0]).abs() <= 1e-12 * again);
    }
}

#[test]
fn losses_beyond_what_can_be_squared_are_refused() {
    let mut batch = Batch::new(&[3, 4], 2, false, false, false, 1);
    batch.values[5] = 1e200;
    let losses = Losses {
        values: Numbers::Double(&batch.values),
        n_stages: 1,
        steps: Offsets::new("losses", &batch.offsets[..], 7).unwrap(),
        weights: None,
        ends: None,
    };
    match losses.check_rows(0..2, 2) {
        Err(Error::Loss { row: 1, index: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_of_the_method() {
    let mut batch = Batch::new(&[4], 2, false, false, false, 1);
    batch.values = vec![0.1, 0.1, 0.1, 3.0];
    let cut = |objective| batch.find(Paths::default(), objective, 1, 1).boundaries[1];
    assert_eq!((cut(Objective::Mean), cut(Objective::Variance)), (1, 3));
}

/// Six steps in two chunks; what a chunk of n steps is charged is 3 · (n / 3 − 1)².
#[test]
fn a_balance_by_hand() {
    let mut batch = Batch::new(&[6], 2, false, false, false, 1);
    batch.values = vec![3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for (balance, cut, objective) in [(0.0, 5, 0.6), (3.0, 3, 1.0), (0.25, 4, 0.75 + 2.0 * 0.25 / 9.0)] {
        let found = batch.find_balanced(Paths::default(), Objective::Mean, balance, 1, 1);
        assert_eq!(found.boundaries, [0, cut, 6]);
        assert!((found.objective[0] - objective).abs() < 1e-12, "{found:?}");
    }
}

/// Losses 1, 1, 1, 3 in two chunks: an even share is 3.
#[test]
fn equal_mass_by_hand() {
    let mut batch = Batch::new(&[4], 2, false, false, false, 1);
    batch.values = vec![1.0, 1.0, 1.0, 3.0];
    let found = batch.find(Paths::default(), Objective::Mass, 1, 1);
    assert_eq!((found.boundaries[1], found.objective[0]), (3, 0.0));
    // average chunks hold 2 and 4
    assert!((found.initial[0] - 2.0 / 9.0).abs() < 1e-12);
    batch.values = vec![0.0; 4];
    assert!((batch.find(Paths::default(), Objective::Mass, 1, 1).objective[0] - 2.0).abs() < 1e-12);
}

#[test]
fn a_balance_that_is_no_weight_is_refused() {
    let options = |balance| SearchOptions {
        method: Method::Optimal,
        objective: Objective::Mean,
        balance,
        eta: 0.0,
        min_steps: 1,
        seed: 0,
        first_row: 0,
    };
    for balance in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(check_options(2, &options(balance)), Err(Error::Balance(_))));
    }
}
