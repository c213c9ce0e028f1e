//! Ragged arrays: values and half-open row offsets.

use std::ops::Range;

use crate::error::{Error, OffsetsProblem, Result};

/// Borrowed numbers of either width.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// 32-bit floats.
    Single(&'a [f32]),
    /// 64-bit floats.
    Double(&'a [f64]),
}

impl Numbers<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them, widened.
    pub fn at(&self, index: usize) -> f64 {
        match self {
            Self::Single(values) => f64::from(values[index]),
            Self::Double(values) => values[index],
        }
    }

    /// Writes a range of them, widened, to `out`, which has as many places.
    pub fn copy_to(&self, range: Range<usize>, out: &mut [f64]) {
        match self {
            Self::Single(values) => {
                for (place, value) in out.iter_mut().zip(&values[range]) {
                    *place = f64::from(*value);
                }
            }
            Self::Double(values) => out.copy_from_slice(&values[range]),
        }
    }

    /// Whether all of a range lie between two bounds. NaN lies nowhere.
    pub fn all_within(&self, range: Range<usize>, low: f64, high: f64) -> bool {
        // no early way out: so the loop is vectorised
        match self {
            Self::Single(values) => values[range]
                .iter()
                .map(|value| f64::from(*value))
                .fold(true, |all, value| all & (low..=high).contains(&value)),
            Self::Double(values) => {
                values[range].iter().fold(true, |all, value| all & (low..=high).contains(value))
            }
        }
    }
}

/// Offsets of either width.
#[derive(Debug, Clone, Copy)]
pub enum Cuts<'a> {
    /// 32 bits, as in Arrow's lists.
    Narrow(&'a [i32]),
    /// 64 bits.
    Wide(&'a [i64]),
}

impl<'a> From<&'a [i64]> for Cuts<'a> {
    fn from(cuts: &'a [i64]) -> Self {
        Self::Wide(cuts)
    }
}

impl<'a> From<&'a [i32]> for Cuts<'a> {
    fn from(cuts: &'a [i32]) -> Self {
        Self::Narrow(cuts)
    }
}

impl Cuts<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Narrow(cuts) => cuts.len(),
            Self::Wide(cuts) => cuts.len(),
        }
    }

    fn at(&self, index: usize) -> i64 {
        match self {
            Self::Narrow(cuts) => i64::from(cuts[index]),
            Self::Wide(cuts) => cuts[index],
        }
    }

    fn first_fall(&self) -> Option<usize> {
        match self {
            Self::Narrow(cuts) => cuts.windows(2).position(|pair| pair[1] < pair[0]),
            Self::Wide(cuts) => cuts.windows(2).position(|pair| pair[1] < pair[0]),
        }
    }
}

/// Borrowed row offsets, checked against the values they cut up. They may start above 0 (a slice).
#[derive(Debug, Clone, Copy)]
pub struct Offsets<'a>(Cuts<'a>);

impl<'a> Offsets<'a> {
    /// Checks offsets.
    ///
    /// # Errors
    /// `Error::Offsets` when they are empty, negative, decrease or overrun `n_values`.
    pub fn new(name: &'static str, offsets: impl Into<Cuts<'a>>, n_values: usize) -> Result<Self> {
        let offsets = offsets.into();
        let wrong = |problem, index, got| Err(Error::Offsets { name, problem, index, got });
        if offsets.len() == 0 {
            return wrong(OffsetsProblem::Empty, 0, 0);
        }
        if offsets.at(0) < 0 {
            return wrong(OffsetsProblem::Negative, 0, offsets.at(0));
        }
        if let Some(index) = offsets.first_fall() {
            return wrong(OffsetsProblem::Decrease, index + 1, offsets.at(index + 1));
        }
        let last = offsets.at(offsets.len() - 1);
        if last as usize > n_values {
            return wrong(OffsetsProblem::Overrun, offsets.len() - 1, last);
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
        self.rows(row..row + 1)
    }

    /// The values of neighbouring rows.
    pub fn rows(&self, rows: Range<usize>) -> Range<usize> {
        self.0.at(rows.start) as usize..self.0.at(rows.end) as usize
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
            return Err(Error::Boundaries { name, row, got: cuts.to_vec(), n_steps: Some(k) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_checked() {
        assert_eq!(Offsets::new("x", &[2i64, 4, 4, 7][..], 7).unwrap().row(2), 4..7);
        for (offsets, problem) in [
            (&[][..] as &[i32], OffsetsProblem::Empty),
            (&[-1, 2][..], OffsetsProblem::Negative),
            (&[0, 3, 2][..], OffsetsProblem::Decrease),
            (&[0, 9][..], OffsetsProblem::Overrun),
        ] {
            let wide: Vec<i64> = offsets.iter().map(|cut| i64::from(*cut)).collect();
            for checked in [Offsets::new("x", offsets, 7), Offsets::new("x", &wide[..], 7)] {
                match checked {
                    Err(Error::Offsets { problem: found, .. }) => assert_eq!(found, problem),
                    other => panic!("{other:?}"),
                }
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
