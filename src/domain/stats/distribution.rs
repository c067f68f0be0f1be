//! Tail probabilities and quantiles, right to some twelve digits from one degree of freedom to ten
//! million and down to 1e-300, where the kept crates' incomplete beta and gamma functions are not:
//! their prefactors are differences of logarithms of gamma functions, which for large arguments
//! leave half of the digits.
//!
//! Here the prefactor is a saddle point and a deviance (C. Loader, "Fast and Accurate Computation of
//! Binomial Probabilities", 2000), and what is left a continued fraction without cancellation
//! (A. Didonato and A. Morris, ACM TOMS 18, 1992, algorithm 708; DLMF 8.9.2 for the gamma function)
//! or a series of positive terms (DLMF 8.17.8 and 8.7.1).

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use libm::{erfc, lgamma};
use statrs::function::erf::erfc_inv;

/// Where a term adds nothing to a sum.
const NEGLIGIBLE: f64 = 1e-17;
/// Large degrees of freedom take some multiple of their square root.
const MAX_TERMS: u32 = 200_000;

/// P(Z > z) of the standard normal distribution.
#[must_use]
pub fn normal_upper(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// The standard normal density.
#[must_use]
pub fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// The z that |Z| exceeds with probability `p`, 0 < p < 1.
#[must_use]
pub fn normal_two_sided_quantile(p: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(p)
}

/// P(|T| > |t|) of Student's t with `df` > 0 degrees of freedom.
#[must_use]
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    StudentTail::at(t.abs(), df).probability()
}

/// The t that |T| exceeds with probability `p`, 0 < p < 1, for `df` >= 1 degrees of freedom.
///
/// Starts from Hill's expansion (CACM 13, 1970, algorithm 396) and refines by Halley's steps on the
/// logarithm of the tail, each of which triples the digits.
#[must_use]
pub fn t_two_sided_quantile(p: f64, df: f64) -> f64 {
    let ln_p = p.ln();
    let mut t = hill_start(p, df);
    for _ in 0..50 {
        let tail = StudentTail::at(t, df);
        let ln_tail = tail.ln_probability();
        let excess = ln_tail - ln_p;
        // Derivatives of ln P: h = -2 f / P, and h (f'/f - h).
        let slope = -2.0 * (student_ln_density(t, df) - ln_tail).exp();
        let newton = excess / slope;
        let bend = -(df + 1.0) / (t + df / t) - slope;
        let step = newton / (1.0 - 0.5 * newton * bend).max(0.5);
        let next = (t - step).max(0.1 * t);
        let done = (next - t).abs() <= 3e-6 * t;
        t = next;
        if done || !t.is_finite() {
            break;
        }
    }
    t
}

/// P(X > x) of the chi-square distribution with `df` > 0 degrees of freedom.
#[must_use]
pub fn chi_square_upper(x: f64, df: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let (shape, z) = (0.5 * df, 0.5 * x);
    // z^a e^-z / Gamma(a)
    let front = (shape / (2.0 * PI)).sqrt()
        * (-deviance(shape, z, shape - z) - stirling_error(shape)).exp();
    if z > shape + 1.0 {
        front * gamma_fraction(shape, z)
    } else {
        (1.0 - front * gamma_series(shape, z)).clamp(0.0, 1.0)
    }
}

/// P(X > f) of the F distribution with `df1` and `df2` > 0 degrees of freedom.
#[must_use]
pub fn f_upper(f: f64, df1: f64, df2: f64) -> f64 {
    if f <= 0.0 {
        return 1.0;
    }
    let ratio = df1 / df2 * f;
    BetaTail::new(
        0.5 * df2,
        0.5 * df1,
        1.0 / (1.0 + ratio),
        ratio / (1.0 + ratio),
    )
    .probability()
}

/// P(|T| > t), by its logarithm where it is far out.
enum StudentTail {
    Beta(BetaTail),
    /// Where t / sqrt(df) is so large that the tail is a power of it.
    Power {
        ln_probability: f64,
    },
}

impl StudentTail {
    fn at(t: f64, df: f64) -> Self {
        let shape = 0.5 * df;
        let ratio = t / df.sqrt();
        if ratio > 1e8 {
            let ln_probability = -df * ratio.ln() - ln_beta_half(shape) - shape.ln();
            return Self::Power { ln_probability };
        }
        let square = ratio * ratio;
        Self::Beta(BetaTail::new(
            shape,
            0.5,
            1.0 / (1.0 + square),
            square / (1.0 + square),
        ))
    }

    fn probability(&self) -> f64 {
        match self {
            Self::Beta(tail) => tail.probability(),
            Self::Power { ln_probability } => ln_probability.exp(),
        }
    }

    fn ln_probability(&self) -> f64 {
        match self {
            Self::Beta(tail) => tail.ln_probability(),
            Self::Power { ln_probability } => *ln_probability,
        }
    }
}

fn student_ln_density(t: f64, df: f64) -> f64 {
    let ratio = t / df.sqrt();
    let ln_one_plus_square = if ratio > 1e8 {
        2.0 * ratio.ln()
    } else {
        (ratio * ratio).ln_1p()
    };
    -0.5 * (df + 1.0) * ln_one_plus_square - 0.5 * df.ln() - ln_beta_half(0.5 * df)
}

#[allow(
    clippy::many_single_char_names,
    reason = "the names of the published algorithm"
)]
fn hill_start(p: f64, df: f64) -> f64 {
    let a = 1.0 / (df - 0.5);
    let b = (48.0 / a).powi(2);
    let mut c = ((20_700.0 * a / b - 98.0) * a - 16.0) * a + 96.36;
    let d = ((94.5 / (b + c) - 3.0) / b + 1.0) * (a * PI / 2.0).sqrt() * df;
    let ln_y = (d * p).ln() * (2.0 / df);
    if ln_y < -60.0 {
        return (0.5 * (df.ln() - ln_y)).exp();
    }
    let mut y = ln_y.exp();
    if y > 0.05 + a {
        let x = -normal_two_sided_quantile(p);
        y = x * x;
        if df < 5.0 {
            c += 0.3 * (df - 4.5) * (x + 0.6);
        }
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b;
        y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x;
        y = (a * y * y).exp_m1();
    } else {
        y = ((1.0 / (((df + 6.0) / (df * y) - 0.089 * d - 0.822) * (df + 2.0) * 3.0)
            + 0.5 / (df + 4.0))
            * y
            - 1.0)
            * (df + 1.0)
            / (df + 2.0)
            + 1.0 / y;
    }
    (df * y).sqrt()
}

/// I_x(a, b), the regularized incomplete beta function, for an x of which y = 1 - x is known as
/// precisely.
struct BetaTail {
    /// ln of x^a y^b / B(a, b).
    ln_front: f64,
    factor: f64,
    /// Whether the factor is that of I_y(b, a) = 1 - I_x(a, b).
    complement: bool,
}

impl BetaTail {
    #[allow(
        clippy::many_single_char_names,
        reason = "the names of every text on it"
    )]
    fn new(a: f64, b: f64, x: f64, y: f64) -> Self {
        let n = a + b;
        // a - n x, and so n y - b.
        let offset = a * y - b * x;
        let ln_front = 0.5 * (a / n * b / (2.0 * PI)).ln() + stirling_error(n)
            - stirling_error(a)
            - stirling_error(b)
            - deviance(a, n * x, offset)
            - deviance(b, n * y, -offset);
        // Near the mean the series is quicker, and 1 less it keeps all but two digits.
        let complement = offset < (0.25 * a).min(3.0);
        let factor = if complement {
            beta_series(b, a, y)
        } else {
            beta_fraction(a, b, x, y, offset)
        };
        Self {
            ln_front,
            factor,
            complement,
        }
    }

    fn probability(&self) -> f64 {
        let part = self.ln_front.exp() * self.factor;
        if self.complement {
            (1.0 - part).clamp(0.0, 1.0)
        } else {
            part.min(1.0)
        }
    }

    fn ln_probability(&self) -> f64 {
        if self.complement {
            (-self.ln_front.exp() * self.factor).max(-1.0).ln_1p()
        } else {
            self.ln_front + self.factor.ln()
        }
    }
}

/// I_x(a, b) without its front: the sum of (a+b)_k / (a)_(k+1) x^k.
fn beta_series(a: f64, b: f64, x: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    let mut k = 0.0;
    for _ in 0..MAX_TERMS {
        term *= (a + b + k) / (a + 1.0 + k) * x;
        sum += term;
        k += 1.0;
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    sum
}

/// I_x(a, b) without its front, for x below the mean of the distribution; `offset` is a y - b x.
fn beta_fraction(a: f64, b: f64, x: f64, y: f64, offset: f64) -> f64 {
    let numerator = |n: f64| {
        let step = a + 2.0 * n - 1.0;
        (a + n - 1.0) / step * ((a + b + n - 1.0) / step) * n * (b - n) * x * x
    };
    let denominator = |n: f64| {
        n + n * (b - n) * x / (a + 2.0 * n - 1.0)
            + (a + n) / (a + 2.0 * n + 1.0) * (offset + 1.0 + n * (1.0 + y))
    };
    let first = a / (a + 1.0) * (offset + 1.0);
    1.0 / lentz(first, numerator, denominator)
}

/// Gamma(a, z) without its front z^a e^-z.
fn gamma_fraction(a: f64, z: f64) -> f64 {
    1.0 / lentz(z + 1.0 - a, |n| n * (a - n), |n| z - a + 2.0 * n + 1.0)
}

fn gamma_series(a: f64, z: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    let mut k = a;
    for _ in 0..MAX_TERMS {
        k += 1.0;
        term *= z / k;
        sum += term;
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    sum
}

/// `first` + numerator(1) / (denominator(1) + numerator(2) / (denominator(2) + ...)), by Lentz's
/// method as modified by Thompson and Barnett.
fn lentz(first: f64, numerator: impl Fn(f64) -> f64, denominator: impl Fn(f64) -> f64) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut value = nonzero(first);
    let mut upper = value;
    let mut lower = 0.0;
    let mut n = 1.0;
    for _ in 0..MAX_TERMS {
        let (top, bottom) = (numerator(n), denominator(n));
        lower = 1.0 / nonzero(bottom + top * lower);
        upper = nonzero(bottom + top / upper);
        let change = upper * lower;
        value *= change;
        if (change - 1.0).abs() < 3.0 * f64::EPSILON {
            break;
        }
        n += 1.0;
    }
    value
}

/// u ln(u / m) - (u - m) >= 0, where u - m is known precisely (Loader's bd0).
fn deviance(u: f64, m: f64, difference: f64) -> f64 {
    if difference.abs() >= 0.1 * (u + m) {
        return u * (u / m).ln() - difference;
    }
    let v = difference / (u + m);
    let mut sum = difference * v;
    let mut power = 2.0 * u * v;
    let mut odd = 3.0;
    for _ in 0..30 {
        power *= v * v;
        let term = power / odd;
        sum += term;
        if term.abs() <= NEGLIGIBLE * sum {
            break;
        }
        odd += 2.0;
    }
    sum
}

/// ln Gamma(z) less Stirling's formula (z - 1/2) ln z - z + ln(2 pi) / 2.
fn stirling_error(z: f64) -> f64 {
    if z < 16.0 {
        return lgamma(z) - ((z - 0.5) * z.ln() - z + 0.5 * (2.0 * PI).ln());
    }
    let square = 1.0 / (z * z);
    let series = 1.0 / 12.0
        - square
            * (1.0 / 360.0
                - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square * (1.0 / 1188.0))));
    series / z
}

/// ln B(a, 1/2).
fn ln_beta_half(a: f64) -> f64 {
    let n = a + 0.5;
    // (a/n)^a (1/2n)^(1/2) sqrt(2 pi n / (a/2)), as in Loader's form.
    0.5 * (2.0 * PI / a).ln() - a * (0.5 / a).ln_1p() + stirling_error(a) + stirling_error(0.5)
        - stirling_error(n)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// Closed forms reach where scipy's own answers end.
    #[test]
    fn one_and_two_degrees_of_freedom_have_closed_forms() {
        for t in [
            1e-9, 1e-8, 1e-4, 0.5, 1.0, 1.4, 1.6, 3.0, 1e3, 1e7, 1e9, 1e100, 1e200,
        ] {
            let one: f64 = 2.0 / PI * (1.0_f64 / t).atan();
            let two: f64 = 2.0 / (t * t + 2.0 + t * (t * t + 2.0).sqrt());
            let near = |ours: f64, exact: f64| {
                assert!((ours - exact).abs() <= 1e-13 * exact, "{t}: {ours} {exact}");
            };
            near(t_two_sided(t, 1.0), one);
            if t < 1e100 {
                near(t_two_sided(t, 2.0), two);
            }
            if t > 0.1 {
                near(t_two_sided_quantile(one, 1.0), t);
            }
        }
    }

    #[test]
    fn beyond_what_doubles_hold_tails_vanish() {
        for tail in [
            normal_upper(40.0),
            t_two_sided(1e30, 1e7),
            t_two_sided(f64::INFINITY, 10.0),
            chi_square_upper(1e6, 3.0),
            chi_square_upper(f64::MAX, 3.0),
            f_upper(1e6, 3.0, 1e9),
        ] {
            assert!((0.0..1e-300).contains(&tail), "{tail}");
        }
        for all in [
            normal_upper(-40.0),
            t_two_sided(0.0, 10.0),
            chi_square_upper(0.0, 3.0),
            f_upper(0.0, 3.0, 10.0),
        ] {
            assert!((all - 1.0).abs() < 1e-15, "{all}");
        }
    }
}
