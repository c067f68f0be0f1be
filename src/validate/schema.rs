//! The rules of the custom resources' schemas, evaluated here as the API server evaluates them.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use kube::core::cel::cel::{Context, Program, Value as CelValue};
use kube::core::cel::{CompiledSchema, KubeCelExt, Validator, compile_schema};
use serde::Serialize;
use serde_json::Value;

use super::SpecProblem;
use crate::crd;
use crate::crd::agent::Agent;
use crate::crd::data_source::{ByteQuantity, DataSource};
use crate::domain::status::Reason;

pub(super) static DATA_SOURCE: LazyLock<Schema> = LazyLock::new(Schema::of::<DataSource>);
pub(super) static AGENT: LazyLock<Schema> = LazyLock::new(Schema::of::<Agent>);

/// One kind's schema, and its rules ready to run.
pub(super) struct Schema {
    pub(super) json: Value,
    rules: CompiledSchema,
}

impl Schema {
    fn of<K: CustomResourceExt>() -> Self {
        let mut definitions = crd::all().into_iter();
        let definition =
            definitions.find(|known| known.metadata.name.as_deref() == Some(K::crd_name()));
        let definition = serde_json::to_value(definition).unwrap_or_default();
        let json = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        let rules = compile_schema(&json);
        Self { json, rules }
    }

    /// Every rule that the resource breaks, by field.
    pub(super) fn broken_rules(&self, resource: &impl Serialize) -> Vec<SpecProblem> {
        let Ok(object) = serde_json::to_value(resource) else {
            return vec![invalid("spec", "the spec cannot be written as JSON")];
        };
        let Err(errors) = Validator::new().validate_compiled(&self.rules, &object, None) else {
            return Vec::new();
        };
        let mut problems: Vec<SpecProblem> = errors
            .into_iter()
            // A rule of the whole object has nothing before the dot.
            .map(|error| invalid(error.field_path.trim_start_matches('.'), &error.message))
            .collect();
        problems
            .sort_by(|one, other| (&one.field, &one.message).cmp(&(&other.field, &other.message)));
        problems.dedup();
        problems
    }
}

/// Bytes, rounded down; None where it is no quantity, or negative. By the function that the rules
/// call, so that what they let in has a value here.
pub(super) fn bytes(quantity: &ByteQuantity) -> Option<u64> {
    static BYTES: LazyLock<Option<Program>> =
        LazyLock::new(|| Program::compile("int(quantity(self).asApproximateFloat())").ok());
    let text = match quantity {
        ByteQuantity::Number(bytes) => return u64::try_from(*bytes).ok(),
        ByteQuantity::Text(text) => text,
    };
    let mut context = Context::default().with_all();
    context.add_variable_from_value("self", text.clone());
    match BYTES.as_ref()?.execute(&context).ok()? {
        CelValue::Int(bytes) => u64::try_from(bytes).ok(),
        _ => None,
    }
}

fn invalid(field: &str, message: &str) -> SpecProblem {
    SpecProblem {
        reason: Reason::InvalidSpec,
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_bytes() {
        let of = |text: &str| bytes(&ByteQuantity::Text(text.to_owned()));
        for (text, expected) in [
            ("1Gi", Some(1 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("1.1Gi", Some(1_181_116_006)),
            ("500M", Some(500_000_000)),
            ("1024", Some(1024)),
            ("2e6", Some(2_000_000)),
            ("2E6", Some(2_000_000)),
            ("0.5Ki", Some(512)),
            ("10k", Some(10_000)),
            ("1Ti", Some(1 << 40)),
            ("2000000m", Some(2000)),
            ("-1Gi", None),
            ("", None),
            ("Gi", None),
            ("1.2.3Gi", None),
            ("1GB", None),
            ("1 Gi", None),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
        assert_eq!(bytes(&ByteQuantity::Number(5_368_709_120)), Some(5 << 30));
        assert_eq!(bytes(&ByteQuantity::Number(-1)), None);
    }
}
