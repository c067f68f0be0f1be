//! Path and query, taken apart by our own rules: what is unknown or impossible is a [`Problem`] that
//! names the parameter.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use jiff::civil::Date;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::domain::agent::from_segment;
use crate::domain::agent_day::Day;

/// The path's segments, percent-decoded one by one: `%2F` belongs to a code and separates nothing.
pub(super) struct Names<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Names<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(_) => Err(Problem::not_found(
                "names in the address are UTF-8, percent-encoded",
            )),
        }
    }
}

/// The namespace and the code that an agent's address names.
pub(super) struct AgentOfPath {
    pub(super) namespace: String,
    pub(super) code: String,
}

impl<S: Send + Sync> FromRequestParts<S> for AgentOfPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let names = Names::<(String, String)>::from_request_parts(parts, state).await?;
        let Names((namespace, segment)) = names;
        let code = from_segment(&segment).to_owned();
        Ok(Self { namespace, code })
    }
}

/// The query, as pairs in the order they stand.
pub(super) struct Pairs(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::parameter("query", "write name=value&name=value")),
        }
    }
}

impl Pairs {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// The values of `known` parameters in that order. An empty one counts as not given.
    ///
    /// # Errors
    /// A parameter that is not known, or stands there twice.
    pub(super) fn only<const N: usize>(
        &self,
        known: [&str; N],
    ) -> Result<[Option<&str>; N], Problem> {
        let mut found = [None; N];
        for (name, value) in self.iter() {
            let Some(at) = known.iter().position(|known| *known == name) else {
                let takes = if N == 0 {
                    "not known; this address takes no parameter".to_owned()
                } else {
                    format!("not known; this address takes {}", known.join(", "))
                };
                return Err(Problem::parameter(name, &takes));
            };
            if found[at].replace(value).is_some() {
                return Err(Problem::parameter(name, "stands there twice"));
            }
        }
        Ok(found.map(|value| value.filter(|value| !value.is_empty())))
    }
}

/// A whole number from `least` to `most`.
///
/// # Errors
/// Anything else.
pub(super) fn whole(
    name: &str,
    value: Option<&str>,
    default: usize,
    (least, most): (usize, usize),
) -> Result<usize, Problem> {
    let Some(value) = value else {
        return Ok(default);
    };
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(number),
        _ => {
            let takes = format!("a whole number from {least} to {most}");
            Err(Problem::parameter(name, &takes))
        }
    }
}

/// A day as ISO 8601 has it.
///
/// # Errors
/// Anything else.
pub(super) fn day(name: &str, value: Option<&str>) -> Result<Option<Day>, Problem> {
    let Some(value) = value else {
        return Ok(None);
    };
    let date: Option<Date> = value.parse().ok();
    match date.filter(|_| value.len() == 10).and_then(Day::from_date) {
        Some(day) => Ok(Some(day)),
        None => Err(Problem::parameter(name, "a day such as 2024-03-18")),
    }
}
