//! Medians over rounds.

/// A figure over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// The middle of the rounds.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Sums up rounds; nothing where there are none, or where any has no such figure.
    #[must_use]
    pub fn of(rounds: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let mut figures = rounds.into_iter().collect::<Option<Vec<f64>>>()?;
        figures.sort_by(f64::total_cmp);
        Some(Self {
            median: median(&figures)?,
            min: *figures.first()?,
            max: *figures.last()?,
        })
    }
}

/// The middle figure, or the mean of the two middle ones.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        Some(upper)
    } else {
        Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(figures: &[f64]) -> Option<[f64; 3]> {
        let spread = Spread::of(figures.iter().copied().map(Some))?;
        Some([spread.min, spread.median, spread.max])
    }

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some([3.0, 3.0, 3.0]));
        assert_eq!(spread(&[9.0, 1.0, 4.0, 2.0]), Some([1.0, 3.0, 9.0]));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some([1.0, 2.0, 9.0]));
    }

    #[test]
    fn a_figure_that_a_round_lacks_is_no_figure() {
        assert_eq!(Spread::of([Some(1.0), None]), None);
    }
}
