//! From an address to a page.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use uuid::Uuid;

use super::activity::ActivityPage;
use super::assets::Assets;
use super::counts::{CountsPage, download};
use super::links;
use super::parts::Framed;
use super::sign_in::Fields;
use super::source::{FETCHES_PER_PAGE, Facts as SourceFacts, SourcePage};
use super::start::{StartPage, Whose};
use super::testing::{Facts as TestingFacts, TestingPage};
use crate::domain::data_source::GoodDirection;
use crate::domain::report::query::{ActivityQuery, TestingQuery};
use crate::domain::report::view::GroupBy;
use crate::domain::report::{self, AgentData, Choices};
use crate::http::access::{Action, Caller};
use crate::http::api::counts::files;
use crate::http::conditional::Etag;
use crate::http::data::Loaded;
use crate::http::parameters::{AgentOfPath, Names, Pairs};
use crate::http::problem::Problem;
use crate::http::state::ReportState;

const HTML: &str = "text/html; charset=utf-8";
/// A search is at most so long.
const MOST_SEARCHED: usize = 200;

pub(super) async fn start(
    State(state): State<ReportState>,
    caller: Caller,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let [q] = pairs.only(["q"])?;
    let q = q.unwrap_or_default();
    if q.chars().count() > MOST_SEARCHED {
        let takes = format!("at most {MOST_SEARCHED} characters");
        return Err(Problem::parameter("q", &takes));
    }
    let scope = state.scope(&caller, Action::ReadSources, None).await?;
    let sources = state.data_sources(&scope).await?;
    let scope = state.scope(&caller, Action::ReadAgents, None).await?;
    let agents = state.agents(&scope).await?;
    let whose = match caller.identity() {
        Some(who) => Whose::Visible(who.user.clone()),
        None if state.fetch_now.is_some() => Whose::Folder,
        None => Whose::Cluster,
    };
    let page = StartPage::new(&sources, &agents, whose, q, state.now());
    html(page, &state)
}

pub(super) async fn source(
    State(state): State<ReportState>,
    caller: Caller,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let [before, asked] = pairs.only(["before", "asked"])?;
    let before = match before.map(Uuid::parse_str) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(Problem::parameter("before", "the id of a fetch, a UUID")),
    };
    let detail = state.data_source(&caller, &namespace, &name).await?;
    let (fetches, more) = state
        .fetches(&namespace, &name, FETCHES_PER_PAGE, before)
        .await?;
    let page = SourcePage::new(&SourceFacts {
        detail: &detail,
        fetches: &fetches,
        more,
        first_page: before.is_none(),
        asked: asked.is_some(),
        form_word: state.form_word(&caller),
        now: state.now(),
    });
    html(page, &state)
}

/// How many files a source's counts are is known only once all its days were looked at, which the
/// source's own page does not wait for.
pub(super) async fn counts(
    State(state): State<ReportState>,
    Names((namespace, name)): Names<(String, String)>,
    pairs: Pairs,
) -> Result<Response, Problem> {
    pairs.only([])?;
    let source = state.source(&namespace, &name).await?;
    let files = files(&state, &source).await?;
    if files.len() < 2 {
        return Ok(Redirect::to(&download(&source)).into_response());
    }
    html(CountsPage::new(&source, &files), &state)
}

/// A button's answer is a page that can be reloaded.
pub(super) async fn fetch_now(
    State(state): State<ReportState>,
    caller: Caller,
    Names((namespace, name)): Names<(String, String)>,
    headers: HeaderMap,
    Fields(fields): Fields,
) -> Result<Redirect, Problem> {
    let word = fields.get("word").map(String::as_str);
    state.meant(&caller, &headers, word)?;
    state.request_fetch(&caller, &namespace, &name).await?;
    let page = links::source(&namespace, &name);
    Ok(Redirect::to(&links::with_query(&page, &[("asked", "yes")])))
}

pub(super) async fn testing(
    State(state): State<ReportState>,
    agent: AgentOfPath,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let address = links::agent(&agent.namespace, &agent.code);
    let asked = (&agent, &pairs, &headers);
    let (loaded, etag, choices) = match open(&state, "testing", &address, asked).await? {
        Opened::Anew(loaded, etag, choices) => (*loaded, etag, choices),
        Opened::Answered(response) => return Ok(response),
    };
    let query = TestingQuery::parse(pairs.iter())?;
    let (data_sources, now) = (data_sources(&loaded), state.now());
    let signs_in = state.signs_in();
    let body = state
        .compute(move || {
            let tally = &loaded.tally;
            let report = report::testing(tally, &query, now)?;
            let goals = report::goals(tally, &query, now)?;
            let page = TestingPage::new(&TestingFacts {
                report: &report,
                goals: Some(&goals),
                choices: &choices,
                good_direction: good_direction(tally.data(), &report.goal),
                data_sources,
            });
            rendered(page, signs_in)
        })
        .await?;
    Ok(kept(&state, &etag, body))
}

pub(super) async fn activity(
    State(state): State<ReportState>,
    agent: AgentOfPath,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let address = links::activity(&agent.namespace, &agent.code);
    let asked = (&agent, &pairs, &headers);
    let (loaded, etag, choices) = match open(&state, "activity", &address, asked).await? {
        Opened::Anew(loaded, etag, choices) => (*loaded, etag, choices),
        Opened::Answered(response) => return Ok(response),
    };
    let query = ActivityQuery::parse(pairs.iter())?;
    let others = if query.group_by == Some(GroupBy::DataSource) {
        state.others(&loaded).await?
    } else {
        Vec::new()
    };
    let (data_sources, now) = (data_sources(&loaded), state.now());
    let signs_in = state.signs_in();
    let body = state
        .compute(move || {
            let report = report::activity(loaded.tally.data(), &others, &query, now)?;
            let page = ActivityPage::new(&report, &choices, &data_sources);
            rendered(page, signs_in)
        })
        .await?;
    Ok(kept(&state, &etag, body))
}

/// An agent whose page is asked for.
enum Opened {
    /// Nothing is to be computed.
    Answered(Response),
    Anew(Box<Loaded>, Etag, Choices),
}

/// Loads the agent of the page at `address`, and answers at once where the reader or the server
/// holds the page, or where the form that was sent asks for what doesn't go together.
async fn open(
    state: &ReportState,
    page: &str,
    address: &str,
    (agent, pairs, headers): (&AgentOfPath, &Pairs, &HeaderMap),
) -> Result<Opened, Problem> {
    let source = given(pairs, "dataSource");
    let loaded = state.agent(&agent.namespace, &agent.code, source).await?;
    let etag = loaded.etag(&view(page, state.signs_in()), pairs.all(), state);
    if etag.is_held(headers) {
        return Ok(Opened::Answered(etag.not_modified()));
    }
    if let Some(page) = state.answers.get(etag.as_str()) {
        return Ok(Opened::Answered(etag.with(HTML, page)));
    }
    let choices = report::choices(&loaded.tally);
    let of_values = if page == "activity" {
        "measure"
    } else {
        "metric"
    };
    if let Some(pairs) = mended(pairs, &choices, of_values) {
        let mended = Redirect::to(&links::with_query(address, &pairs));
        return Ok(Opened::Answered(mended.into_response()));
    }
    Ok(Opened::Anew(Box::new(loaded), etag, choices))
}

/// The same page for the next one who asks for it.
fn kept(state: &ReportState, etag: &Etag, page: String) -> Response {
    let page = Bytes::from(page);
    let key = etag.as_str().to_owned();
    state.answers.put(key, page.clone(), page.len());
    etag.with(HTML, page)
}

/// Content addressed: what lies at an address never changes.
pub(super) async fn asset(Names(name): Names<String>) -> Result<Response, Problem> {
    let (content_type, content) = Assets::find(&name)
        .ok_or_else(|| Problem::not_found(format!("there is nothing at /assets/{name}")))?;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, content).into_response())
}

/// The view's name for its ETag: another style is another page, and so is another frame.
fn view(name: &str, has_account: bool) -> String {
    format!("{name} with {}, {has_account}", Assets::get().style)
}

fn given<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}

/// A form sends the value of the trait group that was chosen before, and the metric or measure of
/// the goal that was (the parameter `of_values`): what does not belong together any more is left
/// out. None where all belongs together.
fn mended(pairs: &Pairs, choices: &Choices, of_values: &str) -> Option<Vec<(String, String)>> {
    let of_group = given(pairs, "traitGroup").and_then(|group| {
        let found = choices.traits.iter().find(|(code, _)| code == group);
        found.map(|(_, values)| values)
    });
    let stray_value = given(pairs, "traitValue").is_some_and(|value| {
        let elsewhere = choices
            .traits
            .iter()
            .any(|(_, values)| values.iter().any(|known| known == value));
        let here = of_group.is_some_and(|values| values.iter().any(|known| known == value));
        elsewhere && !here
    });
    // Without a goal in the address it is the first.
    let goal = match given(pairs, "goal") {
        Some(code) => choices.goals.iter().find(|goal| goal.code == code),
        None => choices.goals.first(),
    };
    let stray_metric =
        given(pairs, of_values) == Some("value") && goal.is_some_and(|goal| !goal.numeric);
    if !stray_value && !stray_metric {
        return None;
    }
    Some(
        pairs
            .all()
            .iter()
            .filter(|(name, _)| {
                !(stray_value && name == "traitValue" || stray_metric && name == of_values)
            })
            .cloned()
            .collect(),
    )
}

/// By name, as the switch shows them.
fn data_sources(loaded: &Loaded) -> Vec<String> {
    let holders = loaded.sources.holders.iter();
    let mut names: Vec<String> = holders
        .map(|holder| holder.source.key.name.clone())
        .collect();
    names.sort();
    names
}

fn good_direction(data: &AgentData, goal: &str) -> GoodDirection {
    data.source
        .description
        .goal(goal)
        .map_or(GoodDirection::default(), |goal| goal.good_direction)
}

/// `has_account`: whether there is somebody to sign in. All that a page says of its reader is whether
/// there is one: it is kept, and shown to all who may read it.
pub(super) fn rendered(mut page: impl Framed, has_account: bool) -> Result<String, Problem> {
    page.frame().has_account = has_account;
    page.render()
        .map_err(|error| Problem::internal("cannot write a page", &error))
}

/// A page that says how long ago things were, and so is never the same.
pub(super) fn html(page: impl Framed, state: &ReportState) -> Result<Response, Problem> {
    let mut response = Html(rendered(page, state.signs_in())?).into_response();
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    Ok(response)
}
