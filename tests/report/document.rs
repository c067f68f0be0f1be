//! The example of the document that describes the CSV.

use serde_json::Value;

use crate::fixture::{data, report, rows};

#[test]
fn its_numbers_are_the_published_ones() {
    let mut data = data(
        &["sales"],
        &rows(&[
            "0 A r - 10 1/1/9.99/99.8001",
            "0 B r - 9 3/5/30.97/539.9605",
        ]),
    );
    data.source.description.goals[0].numeric = true;
    let report = report(&data, "metric=rate");
    let json: Value = serde_json::from_slice(&serde_json::to_vec(&report).unwrap()).unwrap();
    let comparison = &json["comparisons"][0];
    for (field, expected) in [
        ("difference", 0.233_333_333_3),
        ("degreesOfFreedom", 10.827_371_695_2),
        ("p", 0.381_967_181_7),
    ] {
        let number = comparison[field].as_f64().unwrap();
        assert!((number - expected).abs() < 5e-11, "{field}: {number}");
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
}
