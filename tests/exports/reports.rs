//! What `sumsq show` says beside what was computed from the visitors.

use std::path::Path;

use serde_json::Value;

use super::sumsq;

/// Relative; of the standard error where a number may be near 0.
const ALLOWED: f64 = 1e-9;

/// Compares every agent, policy, goal, metric and trait.
pub fn compare(store: &Path, expected: &[Value]) {
    let store = format!("sqlite:{}", store.display());
    let mut beside = Beside::default();
    for expected in expected {
        beside.report(&show(&store, expected), expected);
    }
    let Beside { wrong, numbers, .. } = beside;
    assert!(
        wrong.is_empty(),
        "{} of {numbers} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(numbers > 1_000, "{numbers} numbers");
}

/// The numbers compared so far, and those that differ.
#[derive(Debug, Default)]
struct Beside {
    what: String,
    numbers: usize,
    wrong: Vec<String>,
}

impl Beside {
    fn report(&mut self, ours: &Value, theirs: &Value) {
        self.what = format!(
            "{} {} {} {} {}",
            theirs["agent"], theirs["policy"], theirs["goal"], theirs["metric"], theirs["trait"]
        );
        self.each(ours, theirs, "arms", |beside, ours, theirs| {
            for field in ["visitors", "mean", "variance", "standardError"] {
                beside.number(field, ours, theirs, 0.0);
            }
        });
        self.each(ours, theirs, "comparisons", |beside, ours, theirs| {
            let error = theirs["standardError"].as_f64().unwrap();
            for (field, scale) in [
                ("difference", error),
                ("standardError", 0.0),
                ("degreesOfFreedom", 0.0),
                ("t", 1.0),
                ("p", 0.0),
            ] {
                beside.number(field, ours, theirs, scale);
            }
            for end in [0, 1] {
                let [ours, theirs] = [ours, theirs].map(|one| &one["interval"][end]);
                beside.value("interval", ours, theirs, error);
            }
        });
    }

    fn each(
        &mut self,
        ours: &Value,
        theirs: &Value,
        list: &str,
        compare: impl Fn(&mut Self, &Value, &Value),
    ) {
        let [ours, theirs] = [ours, theirs].map(|one| one[list].as_array().expect("a list"));
        assert_eq!(ours.len(), theirs.len(), "{}", self.what);
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours["variation"], theirs["variation"], "{}", self.what);
            compare(self, ours, theirs);
        }
    }

    fn number(&mut self, field: &str, ours: &Value, theirs: &Value, scale: f64) {
        self.value(field, &ours[field], &theirs[field], scale);
    }

    fn value(&mut self, field: &str, ours: &Value, theirs: &Value, scale: f64) {
        self.numbers += 1;
        let (ours, theirs) = (ours.as_f64(), theirs.as_f64().expect("a number"));
        let error = ours.map(|ours| (ours - theirs).abs() / theirs.abs().max(scale));
        if !error.is_some_and(|error| error <= ALLOWED) {
            let what = &self.what;
            self.wrong
                .push(format!("{what} {field}: {ours:?}, not {theirs:?}"));
        }
    }
}

fn show(store: &str, asked: &Value) -> Value {
    let agent = format!("default/{}", asked["agent"].as_str().unwrap());
    let mut args = vec!["show", "--store", store, &agent];
    args.extend(["--output", "json", "--adjust", "none"]);
    for (flag, name) in [
        ("--policy", "policy"),
        ("--goal", "goal"),
        ("--metric", "metric"),
    ] {
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
