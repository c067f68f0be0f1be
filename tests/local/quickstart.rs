//! The quickstart: what a newcomer sees first, and what README.md says of it.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sumsq::domain::report::view::{ConcernCode, TestingReport, Verdict};

use crate::{once, text};

#[test]
fn the_quickstart_shows_one_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let exports = "buckets/shop-experiment-counts/exports";
    fs::create_dir_all(folder.path().join(exports)).unwrap();
    for file in [
        "shop-conversions.yaml",
        &format!("{exports}/shop-conversions.csv"),
    ] {
        fs::copy(quickstart.join(file), folder.path().join(file)).unwrap();
    }
    let output = once(folder.path(), &["--output", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reports: Vec<TestingReport> = serde_json::from_value(summary["reports"].clone()).unwrap();
    assert_eq!(reports.len(), 15, "three agents with five goals");
    let purchase = |agent: &str| {
        let of_agent = |report: &&TestingReport| report.agent == agent && report.goal == "purchase";
        reports.iter().find(of_agent).unwrap()
    };
    let verdicts = |report: &TestingReport| -> Vec<Verdict> {
        report
            .comparisons
            .iter()
            .map(|found| found.verdict)
            .collect()
    };
    let button = purchase("checkout-button");
    assert_eq!(
        (button.trustworthy, verdicts(button)),
        (true, vec![Verdict::Undecided])
    );
    let products = purchase("recommendations");
    assert_eq!(
        (products.trustworthy, verdicts(products)),
        (true, vec![Verdict::Undecided, Verdict::Better])
    );
    let banner = purchase("free-shipping-banner");
    let codes: Vec<_> = banner.concerns.iter().map(|concern| concern.code).collect();
    assert_eq!(codes, [ConcernCode::AllocationDrift]);
    // 28% more purchases over all days, and none day by day.
    assert!(banner.comparisons[0].relative_difference.unwrap() > 0.25);
    let by_day = &banner.post_stratified.as_ref().unwrap()[0];
    let [low, high] = by_day.interval.unwrap();
    assert!(low < 0.0 && high > 0.0 && high < 0.003, "{by_day:?}");

    let shown = text(&once(folder.path(), &[]).stdout);
    let about = |agent: &str| {
        shown
            .split("\n\n")
            .find(|part| part.starts_with(agent))
            .unwrap()
    };
    let banner = about("free-shipping-banner").to_lowercase();
    assert!(
        banner.contains("day by day, purchase per visitor is 0.012 points higher"),
        "{banner}"
    );
    for word in ["better", "worse", "undecided", "+28%"] {
        assert!(!banner.contains(word), "{word} in {banner}");
    }
    assert!(about("recommendations").contains("\nC is better than A: Purchase per visitor"));
    assert!(about("checkout-button").contains("the data can't yet tell that from chance"));
}

/// A copy, so that no run leaves anything in the checkout.
fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let path = entry.path();
        match entry.file_name() {
            // The store of whoever has tried it.
            name if name == ".sumsq" => {}
            name if path.is_dir() => copied(&path, &to.join(name)),
            name => {
                fs::copy(&path, to.join(name)).unwrap();
            }
        }
    }
}

#[test]
fn it_prints_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, block) = readme
        .split_once("```\ndefault/shop-conversions  imported in ")
        .expect("what the first command prints");
    let (block, _) = block.split_once("\n```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    copied(&root.join("examples/quickstart"), folder.path());
    let shown = text(&once(folder.path(), &[]).stdout);
    let mut lines = shown.lines();
    // The first line says how long this machine took; `...` stands for rows that are left out.
    for line in block.lines().skip(1) {
        let line = line.trim_end();
        assert!(
            line == "  ..." || lines.any(|printed| printed == line),
            "not printed, or not in that order: {line}\n{shown}"
        );
    }
}
