//! Average chunking: steps divided evenly (method §4).

/// Boundaries of average chunks of K steps: the first `K mod M` chunks get one step more; with K < M the last
/// chunks are empty.
pub fn average_row(k: usize, m: usize) -> impl Iterator<Item = usize> {
    let (share, rest) = (k / m, k % m);
    (0..=m).map(move |chunk| chunk * share + chunk.min(rest))
}

/// Average boundaries of many rows, `(n, M + 1)`, row-major.
pub fn average_boundaries(n_steps: &[i64], m: usize) -> Vec<i64> {
    n_steps.iter().flat_map(|k| average_row(*k as usize, m).map(|cut| cut as i64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_chunks_get_the_rest() {
        assert_eq!(average_boundaries(&[7, 2, 4], 4), [0, 2, 4, 6, 7, 0, 1, 2, 2, 2, 0, 1, 2, 3, 4]);
    }
}
