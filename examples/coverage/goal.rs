//! Visitors of whom everything is known.

use sumsq::domain::agent_day::{Decimal, GoalCounts};
use sumsq::domain::stats::Moments;

use super::draws::SplitMix;

/// What one visitor does.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// Converts once or not at all.
    Binary { rate: f64 },
    /// Converts with this chance, and then each time again with the other.
    Counted { rate: f64, again: f64 },
    /// Buys with this chance, for a log-normal amount.
    LogNormal { rate: f64, sigma: f64 },
}

impl Goal {
    fn rate(self) -> f64 {
        match self {
            Self::Binary { rate } | Self::Counted { rate, .. } | Self::LogNormal { rate, .. } => {
                rate
            }
        }
    }

    pub fn mean(self) -> f64 {
        match self {
            Self::Binary { rate } => rate,
            Self::Counted { rate, again } => rate / (1.0 - again),
            Self::LogNormal { rate, sigma } => rate * (LN_AMOUNT + 0.5 * sigma * sigma).exp(),
        }
    }

    pub fn with_lift(self, lift: f64) -> Self {
        let grown = self.rate() * (1.0 + lift);
        match self {
            Self::Binary { .. } => Self::Binary { rate: grown },
            Self::Counted { again, .. } => Self::Counted { rate: grown, again },
            Self::LogNormal { sigma, .. } => Self::LogNormal { rate: grown, sigma },
        }
    }

    /// An arm of so many visitors.
    pub fn draw(self, visitors: u64, random: &mut SplitMix) -> Moments {
        let converters = random.binomial(visitors, self.rate());
        let mut goal = GoalCounts {
            count: converters,
            count_sumsq: u128::from(converters),
            values: None,
        };
        match self {
            Self::Binary { .. } => {}
            Self::Counted { again, .. } => {
                (goal.count, goal.count_sumsq) = (0, 0);
                for _ in 0..converters {
                    let events = 1 + (random.open().ln() / again.ln()) as u64;
                    goal.count += events;
                    goal.count_sumsq += u128::from(events * events);
                }
            }
            Self::LogNormal { sigma, .. } => {
                let (mut sum, mut squares) = (0, 0);
                for _ in 0..converters {
                    let cents =
                        (100.0 * (LN_AMOUNT + sigma * random.normal()).exp()).round() as i128;
                    sum += cents;
                    squares += cents * cents;
                }
                let decimal = |whole: i128, decimals: u32| Decimal {
                    units: whole * 10_i128.pow(12 - decimals),
                    decimals: decimals as i8,
                };
                return Moments::new(visitors, decimal(sum, 2), decimal(squares, 4));
            }
        }
        Moments::of_counts(visitors, &goal)
    }
}

/// The median amount is 33 and some.
const LN_AMOUNT: f64 = 3.5;
