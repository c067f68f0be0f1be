//! What `sumsq show` says beside what was computed from the visitors.

use std::path::Path;

use serde_json::Value;

use super::sumsq;

/// Relative, or of the standard error where a number may be near 0.
const ALLOWED: f64 = 1e-9;

/// Compares every agent, policy, goal, metric and trait.
pub fn compare(store: &Path, expected: &[Value]) {
    let store = format!("sqlite:{}", store.display());
    let mut wrong = Vec::new();
    let mut numbers = 0;
    for expected in expected {
        let report = show(&store, expected);
        let asked = &expected["trait"];
        let what = format!(
            "{} {} {} {} {asked}",
            expected["agent"], expected["policy"], expected["goal"], expected["metric"]
        );
        let mut differ = |field: &str, ours: &Value, theirs: &Value, scale: f64| {
            numbers += 1;
            let (ours, theirs) = (ours.as_f64(), theirs.as_f64().unwrap());
            let error = ours.map(|ours| (ours - theirs).abs() / theirs.abs().max(scale));
            if error.is_none_or(|error| !(error <= ALLOWED)) {
                wrong.push(format!("{what} {field}: {ours:?}, not {theirs:?}"));
            }
        };
        let (arms, comparisons) = (&report["arms"], &report["comparisons"]);
        for (index, arm) in list(&expected["arms"]).iter().enumerate() {
            let ours = &arms[index];
            assert_eq!(ours["variation"], arm["variation"], "{what}");
            for field in ["visitors", "mean", "variance", "standardError"] {
                differ(field, &ours[field], &arm[field], 0.0);
            }
        }
        assert_eq!(list(arms).len(), list(&expected["arms"]).len(), "{what}");
        for (index, comparison) in list(&expected["comparisons"]).iter().enumerate() {
            let ours = &comparisons[index];
            assert_eq!(ours["variation"], comparison["variation"], "{what}");
            let error = comparison["standardError"].as_f64().unwrap();
            differ(
                "difference",
                &ours["difference"],
                &comparison["difference"],
                error,
            );
            differ("t", &ours["t"], &comparison["t"], 1.0);
            for field in ["standardError", "degreesOfFreedom", "p"] {
                differ(field, &ours[field], &comparison[field], 0.0);
            }
            for end in [0, 1] {
                let [ours, theirs] = [ours, comparison].map(|one| &one["interval"][end]);
                differ("interval", ours, theirs, error);
            }
        }
        assert_eq!(
            list(comparisons).len(),
            list(&expected["comparisons"]).len(),
            "{what}"
        );
    }
    assert!(
        wrong.is_empty(),
        "{} of {numbers} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(numbers > 1_000, "{numbers} numbers");
}

fn show(store: &str, asked: &Value) -> Value {
    let agent = format!("default/{}", asked["agent"].as_str().unwrap());
    let mut args = vec![
        "show", "--store", store, &agent, "--output", "json", "--adjust", "none",
    ];
    for name in ["policy", "goal", "metric"] {
        let flag = match name {
            "policy" => "--policy",
            "goal" => "--goal",
            _ => "--metric",
        };
        args.extend([flag, asked[name].as_str().unwrap()]);
    }
    if let Some(visitor_trait) = asked["trait"].as_array() {
        for (flag, value) in ["--trait-group", "--trait-value"].iter().zip(visitor_trait) {
            args.extend([flag, value.as_str().unwrap()]);
        }
    }
    let output = sumsq(&args);
    super::succeeded(&output);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["policy", "goal", "metric"] {
        assert_eq!(shown[name], asked[name]);
    }
    shown
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
