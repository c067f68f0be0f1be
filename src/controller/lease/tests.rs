//! The rules of the Lease, on a clock that only these tests move.

use super::*;

/// A Lease as the API server holds it, and that server's moods.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    /// Every request fails.
    down: bool,
    /// No request is ever answered.
    silent: bool,
    /// The next write is done, and its answer is lost.
    loses_answer: bool,
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn spec(&self) -> LeaseSpec {
        self.lock().lease.clone().unwrap().spec.unwrap()
    }

    fn holder(&self) -> Option<String> {
        let state = self.lock();
        state.lease.as_ref()?.spec.as_ref()?.holder_identity.clone()
    }

    fn edit(&self, edit: impl FnOnce(&mut Lease)) {
        let mut state = self.lock();
        let mut lease = state.lease.clone().unwrap();
        edit(&mut lease);
        state.put(lease);
    }

    async fn answers(&self) -> Result<(), kube::Error> {
        if self.lock().silent {
            std::future::pending::<()>().await;
        }
        if self.lock().down {
            return Err(kube::Error::LinesCodecMaxLineLengthExceeded);
        }
        Ok(())
    }

    async fn written(&self, lease: Option<Lease>) -> Option<Lease> {
        let loses_answer = std::mem::take(&mut self.lock().loses_answer);
        if loses_answer {
            std::future::pending::<()>().await;
        }
        lease
    }
}

impl State {
    fn put(&mut self, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }
}

#[async_trait]
impl Leases for Server {
    async fn get(&self, _: &str) -> Result<Option<Lease>, kube::Error> {
        self.answers().await?;
        Ok(self.lock().lease.clone())
    }

    async fn create(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error> {
        self.answers().await?;
        let written = {
            let mut state = self.lock();
            let free = state.lease.is_none();
            free.then(|| state.put(lease.clone()))
        };
        Ok(self.written(written).await)
    }

    async fn replace(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error> {
        self.answers().await?;
        let written = {
            let mut state = self.lock();
            let version = |lease: &Lease| lease.metadata.resource_version.clone();
            let is_newest = state.lease.as_ref().map(version) == Some(version(lease));
            is_newest.then(|| state.put(lease.clone()))
        };
        Ok(self.written(written).await)
    }
}

fn candidate(server: &Server, identity: &str) -> Candidate<Server> {
    let election = Election {
        lease: "sumsq".to_owned(),
        identity: identity.to_owned(),
        rhythm: Rhythm::default(),
    };
    Candidate::new(server.clone(), election)
}

async fn leads(server: &Server, identity: &str) -> Holder<Server> {
    candidate(server, identity)
        .acquire(&AtomicBool::new(false))
        .await
}

fn waits(server: &Server, identity: &str) -> tokio::task::JoinHandle<Holder<Server>> {
    let (server, identity) = (server.clone(), identity.to_owned());
    tokio::spawn(async move { leads(&server, &identity).await })
}

/// How long that takes, by the paused clock.
async fn seconds<T>(wait: impl Future<Output = T>) -> (f64, T) {
    let begun = Instant::now();
    let value = wait.await;
    (begun.elapsed().as_secs_f64(), value)
}

const FOREVER: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_missing_or_given_up_is_taken_at_once() {
    let server = Server::default();
    let (waited, first) = seconds(leads(&server, "a")).await;
    assert!(waited < 0.01, "{waited}");
    assert!(first.leadership().holds());
    let spec = server.spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!(spec.lease_duration_seconds, Some(10));
    assert_eq!(spec.lease_transitions, Some(0));

    let leadership = first.leadership();
    let waiting = waits(&server, "b");
    sleep(Duration::from_secs(2)).await;
    first.release().await;
    assert!(!leadership.holds(), "nothing is written after the release");
    assert_eq!(server.holder(), None);
    let (waited, second) = seconds(waiting).await;
    assert!(waited <= 1.0, "one look: {waited}");
    assert!(second.unwrap().leadership().holds());
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_is_followed_when_the_lease_has_not_changed_for_its_duration() {
    let server = Server::default();
    let mut first = leads(&server, "a").await;
    let waiting = waits(&server, "b");
    // It renews for a minute: nobody takes it meanwhile.
    timeout(
        Duration::from_mins(1),
        first.keep(&CancellationToken::new()),
    )
    .await
    .expect_err("it keeps it");
    assert_eq!(server.holder().as_deref(), Some("a"));
    assert!(!waiting.is_finished());
    let leadership = first.leadership();
    drop(first);
    let (waited, second) = seconds(waiting).await;
    assert!(second.unwrap().leadership().holds());
    assert!(!leadership.holds(), "never two");
    // Its last renewal was up to 2 s ago, and seen up to a second later.
    assert!((8.0..=11.0).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn the_other_s_clock_is_not_believed() {
    for offset_hours in [-48, 48] {
        let server = Server::default();
        let mut first = leads(&server, "a").await;
        let waiting = waits(&server, "b");
        for _ in 0..10 {
            sleep(Duration::from_secs(5)).await;
            first.renew().await.unwrap();
            // As one whose clock goes wrong would have written it.
            server.edit(|lease| {
                let spec = lease.spec.as_mut().unwrap();
                let wrong = Timestamp::now() + jiff::Span::new().hours(offset_hours);
                spec.renew_time = Some(MicroTime(wrong));
            });
        }
        assert_eq!(server.holder().as_deref(), Some("a"), "{offset_hours}");
        drop(first);
        let (waited, _) = seconds(waiting).await;
        assert!((9.0..=12.0).contains(&waited), "{offset_hours}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_that_wait_one_leads() {
    let server = Server::default();
    let first = leads(&server, "a").await;
    let waiting: Vec<_> = (0..20)
        .map(|number| waits(&server, &format!("b{number}")))
        .collect();
    sleep(Duration::from_secs(3)).await;
    drop(first);
    sleep(Duration::from_secs(30)).await;
    let leading: Vec<_> = waiting.iter().filter(|one| one.is_finished()).collect();
    // The winner does not renew here, so that another follows every 10 to 12 s.
    assert!((1..=3).contains(&leading.len()), "{}", leading.len());
    let transitions = server.spec().lease_transitions.unwrap();
    assert_eq!(usize::try_from(transitions).unwrap(), leading.len());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_before_another_may_begin() {
    let cases: [fn(&mut State); 2] = [|state| state.down = true, |state| state.silent = true];
    for fails in cases {
        let server = Server::default();
        let mut holder = leads(&server, "a").await;
        let leadership = holder.leadership();
        holder.renew().await.unwrap();
        fails(&mut server.lock());
        let (waited, lost) = seconds(holder.keep(&CancellationToken::new())).await;
        assert!(
            lost.unwrap_err()
                .to_string()
                .starts_with("the Lease sumsq is lost: ")
        );
        assert!((6.9..=7.1).contains(&waited), "{waited}");
        assert!(!leadership.holds());
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_is_sat_out() {
    let server = Server::default();
    let mut holder = leads(&server, "a").await;
    server.lock().down = true;
    let mends = server.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(5_500)).await;
        mends.lock().down = false;
    });
    let stop = CancellationToken::new();
    timeout(Duration::from_mins(1), holder.keep(&stop))
        .await
        .expect_err("it keeps it");
    stop.cancel();
    holder.keep(&stop).await.unwrap();
    assert!(holder.leadership().holds());
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_and_a_label_of_others_are_no_loss() {
    let server = Server::default();
    let mut holder = leads(&server, "a").await;
    server.lock().loses_answer = true;
    holder.renew().await.unwrap();
    server.edit(|lease| {
        let label = ("team".to_owned(), "growth".to_owned());
        lease
            .metadata
            .labels
            .get_or_insert_default()
            .insert(label.0, label.1);
    });
    holder.renew().await.unwrap();
    assert!(
        server
            .lock()
            .lease
            .as_ref()
            .unwrap()
            .metadata
            .labels
            .is_some()
    );
    assert!(holder.leadership().holds());
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_the_lease_taken_or_gone_has_lost() {
    let cases: [fn(&Server); 3] = [
        |server| {
            server.edit(|lease| {
                lease.spec.as_mut().unwrap().holder_identity = Some("b".to_owned());
            });
        },
        // The same Pod's container, started again.
        |server| {
            server.edit(|lease| {
                *lease
                    .spec
                    .as_mut()
                    .unwrap()
                    .lease_transitions
                    .as_mut()
                    .unwrap() += 1;
            });
        },
        |server| server.lock().lease = None,
    ];
    for taken in cases {
        let server = Server::default();
        let mut holder = leads(&server, "a").await;
        taken(&server);
        let lost = holder.renew().await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(lost, @"the Lease sumsq is lost: another replica has taken it");
        }
        assert!(!holder.leadership().holds());
        // It does not take what is another's from it, either.
        let before = server.lock().version;
        holder.release().await;
        assert_eq!(server.lock().version, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_starts_again_leads_at_once_under_its_pod_s_name() {
    let server = Server::default();
    let mut before = leads(&server, "a").await;
    let (waited, again) = seconds(leads(&server, "a")).await;
    assert!(waited < 0.01, "{waited}");
    assert!(again.leadership().holds());
    before.renew().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_is_away_candidates_wait() {
    let server = Server::default();
    server.lock().down = true;
    let waiting = waits(&server, "a");
    sleep(FOREVER).await;
    server.lock().down = false;
    server.lock().silent = true;
    sleep(FOREVER).await;
    assert!(!waiting.is_finished());
    server.lock().silent = false;
    let (waited, holder) = seconds(waiting).await;
    assert!(waited <= 2.0, "{waited}");
    assert!(holder.unwrap().leadership().holds());
}

#[test]
fn without_an_election_there_is_nobody_else() {
    assert!(Leadership::of_the_only_one().holds());
}
