//! Which of several arms is best?

use crate::domain::data_source::GoodDirection;

use super::distribution::{normal_density, normal_upper};
use super::moments::Moments;
use super::note::Note;

/// A standard normal variable is beyond this with a chance of 1e-19.
const REACH: f64 = 9.0;
/// More steps than this are taken only where they are needed.
const MOST_STEPS: f64 = 400.0;

/// An arm's mean (less the first arm's, good direction up) and its standard error.
#[derive(Debug, Clone, Copy)]
struct Belief {
    mean: f64,
    standard_error: f64,
}

/// For each arm the chance that its mean is the best of all, each believed normal around what was
/// seen, by itself: the integral of phi(z) times the product over the others of
/// Phi((m_i + sigma_i z - m_j) / sigma_j). None for arms without a variance, which are left out.
pub fn chance_to_be_best(
    arms: &[Moments],
    direction: GoodDirection,
) -> Result<Vec<Option<f64>>, Note> {
    let has_variance = |arm: &&Moments| arm.standard_error().is_some_and(|error| error > 0.0);
    let first = arms
        .iter()
        .find(has_variance)
        .ok_or(Note::FewerThanTwoArms)?;
    let sign = match direction {
        GoodDirection::Increase => 1.0,
        GoodDirection::Decrease => -1.0,
    };
    let beliefs: Vec<Option<Belief>> = arms
        .iter()
        .map(|arm| {
            Some(Belief {
                mean: sign * arm.mean_less(first)?,
                standard_error: arm.standard_error().filter(|error| *error > 0.0)?,
            })
        })
        .collect();
    let used: Vec<Belief> = beliefs.iter().copied().flatten().collect();
    if used.len() < 2 {
        return Err(Note::FewerThanTwoArms);
    }
    let mut index = 0;
    Ok(beliefs
        .iter()
        .map(|belief| {
            belief.as_ref()?;
            index += 1;
            Some(chance(&used, index - 1).clamp(0.0, 1.0))
        })
        .collect())
}

fn chance(arms: &[Belief], index: usize) -> f64 {
    let own = arms[index];
    // Each rival's step, in the arm's own standard errors: where it is and how wide.
    let rivals: Vec<(f64, f64)> = arms
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
        .map(|(_, rival)| {
            (
                (rival.mean - own.mean) / own.standard_error,
                rival.standard_error / own.standard_error,
            )
        })
        .collect();
    let integrand = |z: f64| {
        rivals
            .iter()
            .fold(normal_density(z), |product, (at, width)| {
                product * normal_upper((at - z) / width)
            })
    };
    // The trapezoidal rule is right to exp(-2 pi² / (h² (1 + sum 1 / width²))) for such a product.
    let sharpness = 1.0
        + rivals
            .iter()
            .map(|(_, width)| 1.0 / (width * width))
            .sum::<f64>();
    let steps = (2.0 * REACH / (0.74 / sharpness.sqrt())).ceil();
    if steps <= MOST_STEPS {
        trapezoid(integrand, steps)
    } else {
        by_parts(integrand, &rivals)
    }
}

fn trapezoid(integrand: impl Fn(f64) -> f64, steps: f64) -> f64 {
    let step = 2.0 * REACH / steps;
    let mut sum = 0.0;
    let mut k = 0.0;
    while k <= steps {
        sum += integrand(k * step - REACH);
        k += 1.0;
    }
    sum * step
}

/// Gauss-Legendre between the places where a narrow rival's step begins, bends and ends.
fn by_parts(integrand: impl Fn(f64) -> f64, rivals: &[(f64, f64)]) -> f64 {
    let mut ends = vec![-REACH, REACH];
    ends.extend((1..12).map(|k| 1.5 * f64::from(k) - REACH));
    for (at, width) in rivals {
        let marks = [-9.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 9.0];
        ends.extend(
            marks
                .map(|mark| at + mark * width)
                .into_iter()
                .filter(|end| end.abs() < REACH),
        );
    }
    ends.sort_by(f64::total_cmp);
    ends.windows(2)
        .map(|part| {
            let (middle, half) = (0.5 * (part[0] + part[1]), 0.5 * (part[1] - part[0]));
            GAUSS_LEGENDRE
                .iter()
                .map(|(node, weight)| {
                    weight * (integrand(middle - half * node) + integrand(middle + half * node))
                })
                .sum::<f64>()
                * half
        })
        .sum()
}

/// Positive nodes of the 16-point rule with their weights (Abramowitz and Stegun, table 25.4).
const GAUSS_LEGENDRE: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_58),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_74),
    (0.755_404_408_355_003, 0.124_628_971_255_533_88),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_79),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(mean: f64, standard_error: f64) -> Belief {
        Belief {
            mean,
            standard_error,
        }
    }

    #[test]
    fn two_arms_have_a_closed_form() {
        for width in [1.0, 0.3, 20.0, 1e-3, 1e-6, 1e5] {
            for step in [0.0, 0.4, -1.5, 5.0] {
                let arms = [belief(0.0, 1.0), belief(step, width)];
                let wins = normal_upper(step / (1.0 + width * width).sqrt());
                assert!((chance(&arms, 0) - wins).abs() < 1e-11, "{arms:?}");
                assert!((chance(&arms, 1) - (1.0 - wins)).abs() < 1e-11, "{arms:?}");
            }
        }
    }

    #[test]
    fn alike_arms_have_alike_chances() {
        for count in [2, 3, 5, 20] {
            let arms = vec![belief(3.0, 0.1); count];
            let expected = 1.0 / f64::from(u32::try_from(count).unwrap());
            assert!((chance(&arms, count - 1) - expected).abs() < 1e-12);
        }
    }

    /// Both ways of integrating, where either will do.
    #[test]
    fn by_parts_or_at_even_steps() {
        let rivals = [(0.3, 0.5), (-1.0, 0.2), (2.0, 3.0)];
        let integrand = |z: f64| {
            rivals
                .iter()
                .fold(normal_density(z), |product, (at, width)| {
                    product * normal_upper((at - z) / width)
                })
        };
        let difference = trapezoid(integrand, 400.0) - by_parts(integrand, &rivals);
        assert!(difference.abs() < 1e-12, "{difference:e}");
    }
}
