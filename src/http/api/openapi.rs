//! What holds for every address, written into the document once.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Where a problem's schema is.
const PROBLEM: &str = "#/components/schemas/Problem";

/// Adds to each operation the answers that every one of them may give.
pub(super) fn completed(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let has_names = path.contains('{');
        if let Some(operation) = &mut item.get {
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

fn add_problems(operation: &mut Operation, has_names: bool) {
    if has_names {
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
        ("414", "The address is too long"),
        ("500", "Something went wrong; the server's log says what"),
        (
            "503",
            "Too much at once, or the store does not answer; Retry-After says when to ask again",
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
