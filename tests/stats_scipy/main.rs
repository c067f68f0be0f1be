//! The distribution functions beside scipy's, over a grid from one degree of freedom to ten
//! million, |t| to 40 and p to 1e-300; and Welch's test of random arms beside
//! `scipy.stats.ttest_ind_from_stats`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use sumsq::domain::agent_day::GoalCounts;
use sumsq::domain::data_source::GoodDirection;
use sumsq::domain::stats::distribution::{
    chi_square_upper, f_upper, normal_two_sided_quantile, normal_upper, t_two_sided,
    t_two_sided_quantile,
};
use sumsq::domain::stats::{IntervalKind, Moments, Settings, compare};

const DEGREES_OF_FREEDOM: &[f64] = &[
    1.0, 1.5, 2.0, 3.0, 4.7, 10.0, 29.9, 30.1, 100.0, 1234.5, 1e4, 1e5, 1e6, 1e7,
];
const FEW_DEGREES_OF_FREEDOM: &[f64] = &[1.0, 2.0, 3.0, 7.0, 19.0, 100.0, 999.5];
const T: &[f64] = &[
    0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.5, 1.7, 1.75, 2.0, 2.4, 2.6, 2.7, 3.0, 4.0,
    5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 37.0, 40.0,
];
const P: &[f64] = &[
    0.999,
    0.9,
    0.5,
    0.3,
    0.2,
    0.1,
    0.05,
    0.05 / 3.0,
    0.01,
    0.001,
    1e-4,
    1e-6,
    1e-9,
    1e-13,
    1e-20,
    1e-50,
    1e-100,
    1e-200,
    1e-300,
];

/// What both sides may lose: at 1e-300 one unit in the last place of an argument alone moves a tail
/// by 1e-13.
const ALLOWED: f64 = 1e-11;

/// Asks scipy all at once; starting it takes longer than everything else.
fn scipy(questions: &[String]) -> Vec<Vec<f64>> {
    let python = std::env::var_os("SUMSQ_TEST_SCIPY").map_or_else(
        || {
            panic!(
                "SUMSQ_TEST_SCIPY is not set: use tests/run, or first run tests/testbed/install \
                 and source the env file that it names"
            )
        },
        PathBuf::from,
    );
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/stats_scipy/reference.py"
    );
    let mut child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", python.display()));
    let mut stdin = child.stdin.take().unwrap();
    let input = questions.join("\n");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{script} failed: {output:?}");
    let answers: Vec<Vec<f64>> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            line.split(' ')
                .map(|number| number.parse().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

fn scipy_one(questions: &[String]) -> Vec<f64> {
    scipy(questions)
        .into_iter()
        .map(|answer| answer[0])
        .collect()
}

/// Compares what is ours with scipy's answers, and tells all that differ.
fn check(asked: &[(String, f64)]) {
    let questions: Vec<String> = asked.iter().map(|(question, _)| question.clone()).collect();
    let theirs = scipy_one(&questions);
    let differing: Vec<String> = asked
        .iter()
        .zip(theirs)
        .filter(|((_, ours), theirs)| {
            let error = (ours - theirs).abs() / theirs.abs().max(f64::MIN_POSITIVE);
            // NaN differs; and where scipy underflows, so may we.
            let both_vanish = *theirs < 1e-305 && *ours < 1e-305;
            !(error <= ALLOWED || both_vanish)
        })
        .map(|((question, ours), theirs)| format!("{question}: {ours:e}, scipy {theirs:e}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(asked.len() > 20, "a grid, not a few points");
}

#[test]
fn tails_of_the_normal_distribution() {
    let both = T.iter().flat_map(|z| [*z, -z]).chain([0.0]);
    check(
        &both
            .map(|z| (format!("normal_upper {z:?}"), normal_upper(z)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn tails_of_students_t() {
    let mut asked = Vec::new();
    for df in DEGREES_OF_FREEDOM {
        for t in T {
            asked.push((format!("t_two_sided {t:?} {df:?}"), t_two_sided(*t, *df)));
            let turned = t_two_sided(-t, *df);
            assert_eq!(t_two_sided(*t, *df).to_bits(), turned.to_bits());
        }
    }
    check(&asked);
}

/// scipy's own quantiles give up below 1e-100 with few degrees of freedom; its tail at our quantile
/// is then what must come back.
#[test]
fn quantiles() {
    let mut asked: Vec<(String, f64)> = P
        .iter()
        .map(|p| {
            let ours = normal_two_sided_quantile(*p);
            (format!("normal_two_sided_quantile {p:?}"), ours)
        })
        .collect();
    for df in DEGREES_OF_FREEDOM {
        for p in P {
            let ours = t_two_sided_quantile(*p, *df);
            if *p >= 1e-50 {
                asked.push((format!("t_two_sided_quantile {p:?} {df:?}"), ours));
            }
            // From here on its square is too large for scipy.
            if ours < 1e150 {
                asked.push((format!("t_two_sided {ours:?} {df:?}"), *p));
            }
        }
    }
    check(&asked);
}

#[test]
fn tails_of_chi_square() {
    let points: Vec<(f64, f64)> = DEGREES_OF_FREEDOM
        .iter()
        .flat_map(|df| P.iter().map(|p| (*p, *df)))
        .collect();
    let questions: Vec<String> = points
        .iter()
        .map(|(p, df)| format!("chi_square_point {p:?} {df:?}"))
        .collect();
    let asked: Vec<(String, f64)> = scipy_one(&questions)
        .into_iter()
        .zip(&points)
        .map(|(x, (_, df))| {
            (
                format!("chi_square_upper {x:?} {df:?}"),
                chi_square_upper(x, *df),
            )
        })
        .collect();
    check(&asked);
}

/// At points of our own: scipy finds no quantile of F beyond some 1e-50.
#[test]
fn tails_of_f() {
    const F: &[f64] = &[
        0.001, 0.1, 0.5, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0,
        200.0, 400.0, 700.0, 1000.0, 1360.0, 1e5, 1e9, 1e20,
    ];
    let mut asked = Vec::new();
    for df1 in FEW_DEGREES_OF_FREEDOM {
        for df2 in DEGREES_OF_FREEDOM {
            asked.extend(F.iter().map(|f| {
                let question = format!("f_upper {f:?} {df1:?} {df2:?}");
                (question, f_upper(*f, *df1, *df2))
            }));
        }
    }
    let far_out = |(_, p): &&(String, f64)| (1e-300..1e-200).contains(p);
    assert!(asked.iter().filter(far_out).count() > 10);
    check(&asked);
}

#[test]
fn welch_of_random_arms() {
    let mut random = StdRng::seed_from_u64(20_261_124);
    let mut questions = Vec::new();
    let mut ours = Vec::new();
    while questions.len() < 200 {
        let mut arm = || {
            let visitors = random.random_range(2..2000_u64);
            let (mut count, mut count_sumsq) = (0, 0);
            for _ in 0..visitors {
                let events = random.random_range(0..4_u64);
                count += events;
                count_sumsq += u128::from(events * events);
            }
            (visitors, count, count_sumsq)
        };
        let (a, b) = (arm(), arm());
        let moments = |(visitors, count, count_sumsq)| {
            let goal = GoalCounts {
                count,
                count_sumsq,
                values: None,
            };
            Moments::of_counts(visitors, &goal)
        };
        let settings = Settings {
            confidence: 0.95,
            family: 1,
            interval: IntervalKind::Fixed,
            allow_negative: false,
            good_direction: GoodDirection::Increase,
        };
        let compared = compare(&moments(a), &moments(b), &settings);
        let (Some(df), Some(p)) = (compared.degrees_of_freedom, compared.p) else {
            continue;
        };
        let [low, high] = compared.interval.unwrap();
        questions.push(format!(
            "welch {} {} {} {} {} {}",
            a.0, a.1, a.2, b.0, b.1, b.2
        ));
        ours.push([p, compared.difference.unwrap(), df, low, high]);
    }
    for ((question, ours), theirs) in questions.iter().zip(ours).zip(scipy(&questions)) {
        for (ours, theirs) in ours.iter().zip(&theirs) {
            // scipy is given rounded deviations, and a difference may vanish.
            let allowed = 1e-9 * theirs.abs() + 1e-12;
            assert!(
                (ours - theirs).abs() <= allowed,
                "{question}: {ours:e}, scipy {theirs:e}"
            );
        }
    }
}
