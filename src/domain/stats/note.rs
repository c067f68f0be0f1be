//! Why a number is missing, or what is special about it: one sentence each.

use std::fmt;

use super::always_valid::EFFECTIVE_CONVERSIONS_FOR_ALWAYS_VALID;
use super::strata::{EFFECTIVE_CONVERSIONS_FOR_INTERACTION, MOST_SHARE_DROPPED};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Note {
    /// An arm has fewer than two visitors.
    FewerThanTwoVisitors,
    /// The sums of an arm are such as no visitors can have.
    ImpossibleSums,
    /// V = 0 in an arm, and the goal is not binary.
    NoVariance,
    /// V = 0 in an arm of a binary goal: Miettinen and Nurminen, and Koopman.
    ScoreTest,
    /// p is below what is shown.
    LeastP,
    /// The baseline's mean is 0.
    BaselineIsZero,
    /// The baseline's mean is negative: the lift is relative to its magnitude.
    BaselineIsNegative,
    /// The baseline's mean cannot be told from 0: the lift has a lower bound alone.
    NoUpperBound,
    /// The same, and the lift has no bound that says anything.
    NoBounds,
    /// Too few effective conversions in an arm for the always-valid interval.
    FewConversionsForAlwaysValid,
    /// V = 0 in an arm: there is no always-valid interval.
    NoVarianceForAlwaysValid,
    /// Fewer than two arms have a variance.
    FewerThanTwoArms,
    /// Fewer than two trait values have enough conversions.
    FewerThanTwoValues,
    /// No stratum has two visitors or more in both arms.
    NoStrata,
    /// More of the visitors than allowed stand in strata that were dropped.
    TooMuchDropped,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerThanTwoVisitors => {
                f.write_str("An arm has fewer than two visitors, so there is no test.")
            }
            Self::ImpossibleSums => f.write_str(
                "The sums of an arm are such as no visitors can have, so there is no test.",
            ),
            Self::NoVariance => f.write_str(
                "All visitors of an arm have the same value, so its variance says nothing and \
                 there is no test.",
            ),
            Self::ScoreTest => f.write_str(
                "In one arm all visitors or none converted: p and interval are those of the \
                 score test (Miettinen and Nurminen; Koopman for the lift), which has no t.",
            ),
            Self::LeastP => f.write_str("p is smaller than 1e-300 and is shown as that."),
            Self::BaselineIsZero => {
                f.write_str("The baseline's mean is 0, so a relative difference is undefined.")
            }
            Self::BaselineIsNegative => f.write_str(
                "The baseline's mean is negative: the relative difference is to its magnitude.",
            ),
            Self::NoUpperBound => f.write_str(
                "The baseline's mean can't be told from 0, so the relative difference has no \
                 upper bound.",
            ),
            Self::NoBounds => f.write_str(
                "The baseline's mean can't be told from 0, so the relative difference has no \
                 bounds.",
            ),
            Self::FewConversionsForAlwaysValid => write!(
                f,
                "Fewer than {EFFECTIVE_CONVERSIONS_FOR_ALWAYS_VALID} effective conversions in an \
                 arm: the always-valid interval would be too short."
            ),
            Self::NoVarianceForAlwaysValid => {
                f.write_str("An arm has no variance, so there is no always-valid interval.")
            }
            Self::FewerThanTwoArms => {
                f.write_str("Fewer than two arms have two visitors and a variance.")
            }
            Self::FewerThanTwoValues => write!(
                f,
                "Fewer than two values have {EFFECTIVE_CONVERSIONS_FOR_INTERACTION} effective \
                 conversions in each arm."
            ),
            Self::NoStrata => {
                f.write_str("No stratum has two visitors in each arm and a variance.")
            }
            Self::TooMuchDropped => write!(
                f,
                "More than {:.0}% of the visitors stand in strata with fewer than two visitors \
                 in an arm.",
                MOST_SHARE_DROPPED * 100.0
            ),
        }
    }
}
