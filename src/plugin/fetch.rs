//! `kubectl sumsq fetch`: asks for a fetch by annotation, and waits for the operator's echo.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use futures::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use kube::runtime::watcher;
use serde_json::json;

use super::awaited::{Awaited, State};
use super::cluster::{Cluster, Scope};
use super::failure::{Failure, Result};
use super::output::{Data, Tone, print, toned_text};
use super::select::{Target, print_done, print_objects, targets};
use super::standing::{find, standing};
use super::suspend::missing;
use crate::args::plugin::{FetchNowArgs, Format};
use crate::crd::data_source::DataSource;
use crate::crd::{FETCH_REQUESTED_AT, FORCE_FETCH_REQUESTED_AT, Pruned};

pub(super) async fn run(cluster: &Cluster, args: &FetchNowArgs) -> Result<ExitCode> {
    // One token for all: each object has its own echo. Fresh by the nanosecond.
    let token = Timestamp::now().to_string();
    let annotation = if args.force {
        FORCE_FETCH_REQUESTED_AT
    } else {
        FETCH_REQUESTED_AT
    };
    let mut requested = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for target in targets(cluster, &args.select).await? {
        match request(cluster, &target, annotation, &token).await {
            Ok(object) => {
                if !args.wait {
                    print_done(&object, "fetch requested", args.output);
                }
                requested.push((target, object));
            }
            Err(failure) => {
                failure.tell();
                code = ExitCode::from(failure.code);
            }
        }
    }
    if !args.wait {
        let objects: Vec<_> = requested.into_iter().map(|(_, object)| object).collect();
        tell_objects(args, &objects)?;
        return Ok(code);
    }
    let screen = Screen::new();
    let waits = requested.iter().map(|(target, object)| {
        let awaited = Awaited::of(object, args.force, &token);
        wait(cluster, target, awaited, args.timeout, &screen)
    });
    let ended = futures::future::join_all(waits).await;
    drop(screen);
    let mut objects = Vec::new();
    for ((target, object), ended) in requested.iter().zip(ended) {
        match ended {
            Ok((object, done)) => {
                if !done.succeeded {
                    code = ExitCode::FAILURE;
                }
                tell_end(target, &object, &done.text, done.succeeded, args);
                objects.push(object);
            }
            Err(failure) => {
                failure.tell();
                code = ExitCode::FAILURE;
                objects.push(object.clone());
            }
        }
    }
    tell_objects(args, &objects)?;
    Ok(code)
}

fn tell_objects(args: &FetchNowArgs, objects: &[DataSource]) -> Result<()> {
    match Data::asked_for(args.output) {
        Some(format) if !objects.is_empty() => print_objects(objects, format),
        _ => Ok(()),
    }
}

/// What came of it: of a success on standard output, of a failure on standard error.
fn tell_end(target: &Target, object: &DataSource, text: &str, ok: bool, args: &FetchNowArgs) {
    if !ok {
        eprintln!("{target}: {text}");
    } else if matches!(args.output, None | Some(Format::Wide)) {
        let word = toned_text("fetched", Tone::Good);
        print(&format!("{target}: {word}: {text}\n"));
    } else {
        print_done(object, "", args.output);
    }
}

async fn request(
    cluster: &Cluster,
    target: &Target,
    annotation: &str,
    token: &str,
) -> Result<DataSource> {
    let patch = json!({"metadata": {"annotations": {annotation: token}}});
    let patched = cluster.patch::<DataSource>(&target.namespace, &target.name, &patch);
    match patched.await {
        Err(failure) if failure.is_not_found => Err(missing(cluster, failure, target).await),
        patched => patched,
    }
}

/// How a fetch ended.
struct Done {
    succeeded: bool,
    text: String,
}

/// Follows the object until its status echoes the token.
async fn wait(
    cluster: &Cluster,
    target: &Target,
    awaited: Awaited,
    timeout: Duration,
    screen: &Screen,
) -> Result<(DataSource, Done)> {
    let bar = screen.bar(target);
    let mut last = None;
    let followed = follow(cluster, target, &awaited, &bar, &mut last);
    // kubectl's own waits take 0 for no limit here as elsewhere.
    let ended = if timeout.is_zero() {
        Ok(followed.await)
    } else {
        tokio::time::timeout(timeout, followed).await
    };
    bar.finish_and_clear();
    match ended {
        Ok(ended) => ended,
        Err(_) => Err(timed_out(target, timeout, last.as_ref())),
    }
}

async fn follow(
    cluster: &Cluster,
    target: &Target,
    awaited: &Awaited,
    bar: &ProgressBar,
    last: &mut Option<DataSource>,
) -> Result<(DataSource, Done)> {
    let api = cluster.api::<DataSource>(Scope::Namespace(&target.namespace));
    let mut seen = std::pin::pin!(watcher::watch_object(api, &target.name));
    while let Some(event) = seen.next().await {
        let object = match event {
            Ok(object) => object.map(|Pruned(object)| object),
            Err(error) => match refusal(cluster, &error) {
                Some(failure) => return Err(failure),
                // The API server restarts, the network blinks: the watcher tries again.
                None => continue,
            },
        };
        let Some(object) = object else {
            return Err(Failure::new(format!(
                "error: {target} was deleted while its fetch was waited for"
            )));
        };
        match awaited.state(&object) {
            State::Waiting(doing) => {
                bar.set_message(doing);
                *last = Some(object);
            }
            State::Succeeded(text) => {
                let succeeded = true;
                return Ok((object, Done { succeeded, text }));
            }
            State::Failed(text) => {
                let succeeded = false;
                return Ok((object, Done { succeeded, text }));
            }
        }
    }
    Err(Failure::new(format!(
        "error: {target}: the watch has ended"
    )))
}

/// An answer that trying again does not change.
fn refusal(cluster: &Cluster, error: &watcher::Error) -> Option<Failure> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            let kube::Error::Api(status) = error else {
                return None;
            };
            let hint = "--wait needs `list` and `watch` on datasources";
            [401, 403]
                .contains(&status.code)
                .then(|| cluster.failure(error).with_hint(hint))
        }
        _ => None,
    }
}

fn timed_out(target: &Target, timeout: Duration, last: Option<&DataSource>) -> Failure {
    let seconds = timeout.as_secs_f64();
    let failure = Failure::new(format!(
        "error: timed out: the fetch of {target} has not ended within {seconds} s"
    ));
    let fetching = last.and_then(|object| {
        let status = object.status.as_ref()?;
        let reconciling = find(&status.conditions, "Reconciling")?;
        (reconciling.status == "True" && reconciling.reason != "WaitingForRetry")
            .then(|| reconciling.message.clone())
    });
    if let Some(message) = fetching {
        return failure.with_hint(format!("{message}; it goes on: --timeout waits longer"));
    }
    let standing = last.map(|object| standing(object, Timestamp::now()));
    let said = standing.map(|standing| format!("{}: {}", standing.reason, standing.message));
    failure.with_hint(format!(
        "is the operator running, and does it watch this namespace? kubectl get pods -A -l \
         app.kubernetes.io/part-of=sumsq{}",
        said.map(|said| format!("\nstatus says {said}"))
            .unwrap_or_default()
    ))
}

/// A spinner for each on a terminal, nothing elsewhere.
struct Screen(MultiProgress);

impl Screen {
    fn new() -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self(MultiProgress::with_draw_target(target))
    }

    fn bar(&self, target: &Target) -> ProgressBar {
        let bar = self.0.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner} {prefix}  {msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(target.to_string());
        bar.set_message("requested");
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}
