//! What a namespace may make the operator do: whose credentials it lends, and where it goes.
//!
//! - [`endpoints`]: which addresses of stores a data source may name.
//! - [`addresses`]: which IP addresses lie on the public internet.

pub mod addresses;
pub mod endpoints;

use std::collections::BTreeSet;

/// The namespaces that the operator's own identity reads for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ambient {
    Everywhere,
    Only(BTreeSet<String>),
}

impl Ambient {
    /// As the flag has it: `*` is every namespace, and an empty name is none.
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.trim().to_owned());
        let names: BTreeSet<String> = names.filter(|name| !name.is_empty()).collect();
        if names.contains("*") {
            Self::Everywhere
        } else {
            Self::Only(names)
        }
    }

    #[must_use]
    pub fn serves(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Only(names) => names.contains(namespace),
        }
    }
}

impl Default for Ambient {
    /// Nobody.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

/// The external ID under which the operator's own identity asks for a role on behalf of a
/// namespace: a trust policy that demands it lets this namespace in and no other. The UID tells the
/// namespace from one that is made anew under its name, and from those of other clusters, so that
/// nothing else need be in it. AWS takes 2 to 1,224 of the characters `\w+=,.@:/-`.
#[must_use]
pub fn external_id(namespace: &str, uid: &str) -> String {
    format!("sumsq:{namespace}:{uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_served_as_the_flag_says() {
        let of = |flag: &str| Ambient::of(flag.split(',').map(str::to_owned));
        for (flag, namespace, served) in [
            ("sumsq", "sumsq", true),
            ("sumsq", "growth", false),
            ("sumsq, growth", "growth", true),
            ("sumsq,growth", "grow", false),
            ("*", "growth", true),
            ("sumsq,*", "growth", true),
            ("", "growth", false),
            ("", "", false),
        ] {
            assert_eq!(of(flag).serves(namespace), served, "{flag:?} {namespace:?}");
        }
        assert!(!Ambient::default().serves("sumsq"));
    }

    #[test]
    fn no_two_namespaces_have_one_external_id() {
        let uid = "7a1c0a52-40f1-4c1e-9d5c-6a3b1f7d2e90";
        let id = external_id("growth", uid);
        assert_eq!(id, "sumsq:growth:7a1c0a52-40f1-4c1e-9d5c-6a3b1f7d2e90");
        assert_ne!(id, external_id("growth-2", uid));
        assert_ne!(id, external_id("growth", "another"));
        let longest = external_id(&"n".repeat(63), uid);
        let taken = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
        assert!(longest.len() <= 1224 && longest.chars().all(taken));
    }
}
