//! `sumsq check` before an upload.

use std::fs;

use serde_json::Value;

use crate::{COUNTS, folder, sumsq, text};

#[test]
fn check_exits_0_1_and_2() {
    let folder = folder();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let yaml = folder
        .path()
        .join("counts.yaml")
        .to_str()
        .unwrap()
        .to_owned();
    let good = file(
        "good.csv",
        COUNTS.replace("450.1504", "539.9605").as_bytes(),
    );
    let warned = file("warned.csv", COUNTS.as_bytes());
    let broken = file("broken.csv", COUNTS.replace(",10,", ",ten,").as_bytes());
    let cut_short = file("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2]);
    for (csv, code, expected) in [
        (
            &good,
            0,
            "0 warnings; would be imported by DataSource internal-conversions",
        ),
        (&warned, 0, "warning: line 3, column sales_val_sumsq"),
        (
            &broken,
            1,
            "line 2, column Sels: \"ten\" is not a whole number",
        ),
        (&cut_short, 1, "cannot be decompressed"),
    ] {
        let output = sumsq(&["check", csv, "--data-source", &yaml]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{csv}: {}",
            text(&output.stderr)
        );
        let shown = text(&output.stdout);
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
    let json = sumsq(&["check", &broken, "--data-source", &yaml, "--output", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&report["accepted"], &report["problemCount"]),
        (&false.into(), &1.into())
    );
    assert_eq!(
        (
            &report["problems"][0]["line"],
            &report["problems"][0]["column"]
        ),
        (&2.into(), &"Sels".into())
    );
    for usage in [
        vec!["check", "nowhere.csv", "--data-source", &yaml],
        vec!["check", &good, "--data-source", "nowhere.yaml"],
        vec!["check", &good],
    ] {
        assert_eq!(sumsq(&usage).status.code(), Some(2), "{usage:?}");
    }
}
