//! What each address needs. An address that is not in this list is refused: nothing is served by
//! having been forgotten.

use axum::http::Method;

use super::identity::Action;

/// What a caller must be, or be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Need {
    /// Nothing: it shows nothing of what is stored.
    Nothing,
    /// To be known. What it lists is what they may see.
    Known,
    /// The right, in the namespace of the address.
    Right(Action),
}

use Action::{Fetch, ReadAgents, ReadSources};
use Need::{Known, Nothing, Right};

const NEEDS: &[(&str, &str, Need)] = &[
    ("GET", "/", Known),
    ("GET", "/account", Known),
    ("GET", "/assets/{name}", Nothing),
    ("GET", "/sign-in", Nothing),
    ("POST", "/sign-in", Nothing),
    ("POST", "/sign-out", Known),
    (
        "GET",
        "/namespaces/{namespace}/agents/{code}",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/namespaces/{namespace}/agents/{code}/activity",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/namespaces/{namespace}/data-sources/{name}",
        Right(ReadSources),
    ),
    (
        "GET",
        "/namespaces/{namespace}/data-sources/{name}/counts",
        Right(ReadSources),
    ),
    (
        "POST",
        "/namespaces/{namespace}/data-sources/{name}/fetch",
        Right(Fetch),
    ),
    ("GET", "/api/openapi.json", Nothing),
    ("GET", "/api/v1/agents", Known),
    ("GET", "/api/v1/data-sources", Known),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/agents/{code}/activity",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/agents/{code}/activity.csv",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/agents/{code}/goals",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/agents/{code}/goals.csv",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/agents/{code}/testing",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/agents/{code}/testing.csv",
        Right(ReadAgents),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/data-sources/{name}",
        Right(ReadSources),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/data-sources/{name}/counts.csv",
        Right(ReadSources),
    ),
    (
        "POST",
        "/api/v1/namespaces/{namespace}/data-sources/{name}/fetch",
        Right(Fetch),
    ),
    (
        "GET",
        "/api/v1/namespaces/{namespace}/data-sources/{name}/fetches",
        Right(ReadSources),
    ),
];

/// What a method of a route needs; HEAD is GET without its body. None: it is not for this address.
pub(super) fn need(method: &Method, route: &str) -> Option<Need> {
    let method = if *method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    NEEDS
        .iter()
        .find(|(of, at, _)| *of == method && *at == route)
        .map(|(_, _, need)| *need)
}

/// The methods of a route, as `Allow` lists them.
pub(super) fn methods(route: &str) -> String {
    let mut methods = Vec::new();
    for (method, at, _) in NEEDS {
        if *at == route {
            methods.push(*method);
            methods.extend((*method == "GET").then_some("HEAD"));
        }
    }
    methods.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn every_route_says_what_it_needs() {
        let mut listed: Vec<_> = NEEDS
            .iter()
            .map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned()))
            .collect();
        listed.sort();
        assert_eq!(routes(), listed);
    }

    #[test]
    fn another_method_is_not_for_it() {
        let route = "/api/v1/namespaces/{namespace}/data-sources/{name}/fetch";
        assert_eq!(need(&Method::POST, route), Some(Right(Fetch)));
        assert_eq!(need(&Method::GET, route), None);
        assert_eq!(methods(route), "POST");
        assert_eq!(need(&Method::HEAD, "/"), Some(Known));
        assert_eq!(methods("/sign-in"), "GET,HEAD,POST");
    }
}
