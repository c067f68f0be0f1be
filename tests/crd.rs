//! The definitions: what `sumsq crd` prints is what `crds/` and the chart hold.

use std::fs;

#[test]
fn the_generated_files_are_those_of_this_version() {
    let root = env!("CARGO_MANIFEST_DIR");
    let generated = sumsq::app::crd_yaml().unwrap();
    for path in
        ["crds/datasources.sumsq.dev.yaml", "charts/sumsq/files/crds/datasources.sumsq.dev.yaml"]
    {
        let held = fs::read_to_string(format!("{root}/{path}")).unwrap();
        assert!(
            held == generated,
            "{path} is not what this version generates; run: cargo run -- crd > {path}"
        );
    }
}

#[test]
fn every_field_explains_itself() {
    let definition = serde_json::to_value(&sumsq::crd::all()[0]).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut silent = Vec::new();
    walk(&schema["properties"]["spec"], "spec", &mut silent);
    assert_eq!(silent, Vec::<String>::new(), "kubectl explain has nothing to say of these");
}

fn walk(schema: &serde_json::Value, path: &str, silent: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            silent.push(path.clone());
        }
        walk(property, &path, silent);
        walk(&property["items"], &path, silent);
    }
}
