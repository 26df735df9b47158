//! A weighted choice in constant time.

use super::Random;

/// A table of weights to draw by: the alias method, after Vose, "A Linear Algorithm for Generating
/// Random Numbers with a Given Distribution" (1991).
#[derive(Debug)]
pub(super) struct Draw(Box<[Column]>);

/// A column of the table, which stands for an equal part of the draws.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// What of 2^32 draws in this column are its own place.
    own: u32,
    /// The place that the others are; its own if there are none.
    alias: u32,
}

impl Draw {
    /// The table of weights, none of which may be 0; there is at least one.
    pub(super) fn new(weights: &[u32]) -> Self {
        let count = weights.len() as u128;
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        // What is left of each weight, as a multiple of the mean, in units of `total`.
        let mut left: Vec<u128> = weights.iter().map(|it| u128::from(*it) * count).collect();
        let own = |place: usize| Column {
            own: u32::MAX,
            alias: place as u32,
        };
        let mut columns: Vec<Column> = (0..weights.len()).map(own).collect();
        let places = 0..weights.len();
        let (mut small, mut large): (Vec<_>, Vec<_>) = places.partition(|it| left[*it] < total);
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            columns[less] = Column {
                own: ((left[less] << 32) / total) as u32,
                alias: more as u32,
            };
            left[more] -= total - left[less];
            if left[more] < total {
                large.pop();
                small.push(more);
            }
        }
        Self(columns.into())
    }

    /// A place, each as often as its weight says.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let at = random.below(self.0.len());
        let column = self.0[at];
        if random.next_u32() < column.own {
            at
        } else {
            column.alias as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exact probability of each place, read off the table.
    fn probabilities(draw: &Draw) -> Vec<f64> {
        let mut sums = vec![0.0; draw.0.len()];
        for (place, column) in draw.0.iter().enumerate() {
            let own = f64::from(column.own) / f64::from(u32::MAX);
            sums[place] += own;
            sums[column.alias as usize] += 1.0 - own;
        }
        sums.iter().map(|sum| sum / draw.0.len() as f64).collect()
    }

    #[test]
    fn the_table_gives_each_place_what_its_weight_says() {
        let uneven: Vec<u32> = (1..=1_000).collect();
        let extreme = [1, u32::MAX, 1, u32::MAX];
        for weights in [&[5][..], &[1, 1, 1], &[9, 1], &uneven, &extreme] {
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            let draw = Draw::new(weights);
            for (weight, probability) in weights.iter().zip(probabilities(&draw)) {
                let expected = f64::from(*weight) / total;
                assert!(
                    (probability - expected).abs() < 1e-9,
                    "{weight}: {probability} for {expected}"
                );
            }
        }
    }
}
