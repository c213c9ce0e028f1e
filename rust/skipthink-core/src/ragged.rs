//! Ragged arrays: values and half-open row offsets.

use std::ops::Range;

use crate::error::{Error, Result};

/// Borrowed row offsets, checked against the values they cut up. They may start above 0 (a slice).
#[derive(Debug, Clone, Copy)]
pub struct Offsets<'a>(&'a [i64]);

impl<'a> Offsets<'a> {
    /// Checks offsets.
    ///
    /// # Errors
    /// `Error::Offsets` when they are empty, negative, decrease or overrun `n_values`.
    pub fn new(name: &'static str, offsets: &'a [i64], n_values: usize) -> Result<Self> {
        let wrong = |problem, index, got| Err(Error::Offsets { name, problem, index, got });
        let Some(&first) = offsets.first() else {
            return wrong("are empty", 0, 0);
        };
        if first < 0 {
            return wrong("are negative", 0, first);
        }
        if let Some(index) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
            return wrong("decrease", index + 1, offsets[index + 1]);
        }
        let last = offsets[offsets.len() - 1];
        if last as usize > n_values {
            return wrong("overrun the values", offsets.len() - 1, last);
        }
        Ok(Self(offsets))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of a row.
    pub fn row(&self, row: usize) -> Range<usize> {
        self.0[row] as usize..self.0[row + 1] as usize
    }
}

/// Checks that boundaries `(n, m + 1)` are boundaries of rows of `n_steps` steps.
///
/// # Errors
/// `Error::Boundaries` naming the first row whose boundaries do not start at 0, never decrease and end at its steps.
pub fn check_boundaries(
    name: &'static str,
    boundaries: &[i64],
    m: usize,
    n_steps: impl Fn(usize) -> usize,
) -> Result<()> {
    for (row, cuts) in boundaries.chunks_exact(m + 1).enumerate() {
        let k = n_steps(row);
        let rises = cuts.windows(2).all(|pair| pair[0] <= pair[1]);
        if cuts[0] != 0 || cuts[m] != k as i64 || !rises {
            return Err(Error::Boundaries {
                name,
                row,
                got: format!("{cuts:?}"),
                expected: format!(
                    "numbers that start at 0, never decrease and end at {k}, the steps of the row"
                ),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_checked() {
        assert_eq!(Offsets::new("x", &[2, 4, 4, 7], 7).unwrap().row(2), 4..7);
        for (offsets, problem) in [
            (&[][..], "are empty"),
            (&[-1, 2][..], "are negative"),
            (&[0, 3, 2][..], "decrease"),
            (&[0, 9][..], "overrun the values"),
        ] {
            match Offsets::new("x", offsets, 7) {
                Err(Error::Offsets { problem: found, .. }) => assert_eq!(found, problem),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn boundaries_are_checked() {
        assert!(check_boundaries("init", &[0, 1, 3, 0, 0, 3], 2, |_| 3).is_ok());
        for wrong in [[1, 2, 3], [0, 3, 2], [0, 1, 2]] {
            assert!(check_boundaries("init", &wrong, 2, |_| 3).is_err());
        }
    }
}
