//! What holds for every address, written into the document once.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Where a problem's schema is.
const PROBLEM: &str = "#/components/schemas/Problem";

/// Adds to each operation the answers that every one of them may give.
pub(super) fn completed(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let has_names = path.contains('{');
        if let Some(operation) = &mut item.get {
            allow_empty_values(operation);
            add(
                operation,
                "304",
                Response::new("Unchanged since the ETag in If-None-Match"),
            );
            add_problems(operation, has_names);
        }
        if let Some(operation) = &mut item.post {
            add_problems(operation, has_names);
        }
    }
    document
}

/// A form sends the fields that were left alone, too: an empty value is one that is not given.
fn allow_empty_values(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Query
        {
            let extensions = parameter.extensions.get_or_insert_default();
            extensions.insert("allowEmptyValue".to_owned(), true.into());
        }
    }
}

fn add_problems(operation: &mut Operation, has_names: bool) {
    if has_names {
        add(
            operation,
            "403",
            problem("Not allowed; the detail says which Role to ask for"),
        );
        add(
            operation,
            "404",
            problem("There is no such namespace, data source or agent"),
        );
    }
    for (status, description) in [
        (
            "400",
            "A parameter that is unknown, impossible or there twice",
        ),
        (
            "401",
            "No token, or none that the API server takes, where somebody says who may read",
        ),
        ("414", "The address is too long"),
        ("500", "Something went wrong; the server's log says what"),
        (
            "503",
            "Too much at once, or the store or the API server does not answer; Retry-After says when \
             to ask again",
        ),
        ("504", "It took too long"),
    ] {
        add(operation, status, problem(description));
    }
}

fn add(operation: &mut Operation, status: &str, response: Response) {
    let responses = &mut operation.responses.responses;
    responses
        .entry(status.to_owned())
        .or_insert(RefOr::T(response));
}

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::new(PROBLEM)));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}
