//! Which of several replicas leads: one `coordination.k8s.io/v1` Lease, by the rules of client-go.
//!
//! - A replica takes a Lease that nobody holds, or that has not changed for its whole duration **by
//!   this replica's own monotonic clock**: what the other's clock says is never believed.
//! - Every write carries the version that was read. A conflict means that somebody else wrote;
//!   whoever finds another holder then has lost.
//! - Who cannot renew for [`Rhythm::renew_within`] stops by itself, which is before others may take
//!   the Lease. A clean stop gives it up at once.
//!
//! Written here, since none of the crates at hand keeps all three: kube-lease-manager 0.13 (the one
//! that knows this version of kube) compares the other's `renewTime` with the wall clock and renews
//! without a version; kube-leader-election 0.44 and kubert 0.25 are of older versions of kube and
//! compare wall clocks as well. What the Lease cannot promise (a process that is frozen after it has
//! looked), the store does: see [`crate::store::relational`].

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How often the Lease is looked at, and for how long it is believed.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// Others take a Lease that has not changed for so long.
    pub duration: Duration,
    /// Who has not renewed for so long leads no more; less than `duration`.
    pub renew_within: Duration,
    /// Between two renewals, and the patience for one request.
    pub renew_every: Duration,
    /// Between two looks of those that wait.
    pub look_every: Duration,
}

impl Default for Rhythm {
    /// client-go's proportions (15, 10 and 2 s), a little faster: a look, the duration and the start
    /// of the new leader's work stay below 15 s together.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            renew_within: Duration::from_secs(7),
            renew_every: Duration::from_secs(2),
            look_every: Duration::from_secs(1),
        }
    }
}

/// What is stood for, and by whom.
#[derive(Debug, Clone)]
pub struct Election {
    /// The Lease's name.
    pub lease: String,
    /// The replica's name: its Pod's.
    pub identity: String,
    pub rhythm: Rhythm,
}

/// The Leases of one namespace. None stands for a conflict: somebody else has written.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    async fn get(&self, name: &str) -> Result<Option<Lease>, kube::Error>;
    async fn create(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error>;
    /// Only where it still has the version that `lease` has.
    async fn replace(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error>;
}

#[async_trait]
impl Leases for Api<Lease> {
    async fn get(&self, name: &str) -> Result<Option<Lease>, kube::Error> {
        self.get_opt(name).await
    }

    async fn create(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error> {
        unless_in_conflict(Api::create(self, &PostParams::default(), lease).await)
    }

    async fn replace(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error> {
        let name = lease.metadata.name.as_deref().unwrap_or_default();
        unless_in_conflict(Api::replace(self, name, &PostParams::default(), lease).await)
    }
}

/// Also where the Lease was deleted: that is somebody else's doing, too.
fn unless_in_conflict(written: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether this process leads, by its own clock: nothing is written without a look at it.
#[derive(Debug, Clone)]
pub struct Leadership {
    /// None: there is no election, and so nobody else.
    until: Option<Arc<Mutex<Instant>>>,
}

impl Leadership {
    /// Where there is no election.
    #[must_use]
    pub fn of_the_only_one() -> Self {
        Self { until: None }
    }

    fn until(end: Instant) -> Self {
        Self {
            until: Some(Arc::new(Mutex::new(end))),
        }
    }

    #[must_use]
    pub fn holds(&self) -> bool {
        self.end().is_none_or(|end| Instant::now() < end)
    }

    fn end(&self) -> Option<Instant> {
        self.until.as_ref().map(|until| *lock(until))
    }

    fn prolong(&self, end: Instant) {
        if let Some(until) = &self.until {
            *lock(until) = end;
        }
    }
}

/// A replica that waits to lead.
pub struct Candidate<L> {
    leases: L,
    election: Election,
    seen: Option<Seen>,
}

impl<L> std::fmt::Debug for Candidate<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Candidate").field(&self.election).finish()
    }
}

/// What the Lease said, and since when, by our own clock.
struct Seen {
    spec: LeaseSpec,
    since: Instant,
}

impl<L: Leases> Candidate<L> {
    #[must_use]
    pub fn new(leases: L, election: Election) -> Self {
        Self {
            leases,
            election,
            seen: None,
        }
    }

    /// Waits until this replica holds the Lease, through every failure of the API server.
    /// `stands_by` says whether it knows that another one does.
    pub async fn acquire(mut self, stands_by: &AtomicBool) -> Holder<L> {
        let rhythm = self.election.rhythm;
        let mut told = String::new();
        loop {
            let asked = Instant::now();
            let mut wake = asked + rhythm.look_every;
            let attempt = timeout(rhythm.renew_every, self.attempt()).await;
            stands_by.store(matches!(attempt, Ok(Ok(_))), Ordering::Release);
            match attempt {
                Ok(Ok(Attempt::Taken(lease))) => {
                    tracing::info!(lease = self.election.lease, "this replica leads");
                    return Holder {
                        leases: self.leases,
                        election: self.election,
                        lease: *lease,
                        leadership: Leadership::until(asked + rhythm.renew_within),
                    };
                }
                Ok(Ok(Attempt::Held { by, until })) => {
                    let news = format!("{by} leads; this replica stands by");
                    tell(&mut told, news, |news| {
                        tracing::info!(lease = self.election.lease, "{news}");
                    });
                    wake = wake.min(until);
                }
                Ok(Ok(Attempt::Lost)) => {}
                Ok(Err(error)) => tell(&mut told, error.to_string(), |_| {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, lease = self.election.lease, "the Lease is not known");
                }),
                Err(_) => tell(&mut told, "no answer".to_owned(), |_| {
                    tracing::warn!(
                        lease = self.election.lease,
                        "the API server does not answer"
                    );
                }),
            }
            sleep_until(wake).await;
        }
    }

    async fn attempt(&mut self) -> Result<Attempt, kube::Error> {
        let Some(lease) = self.leases.get(&self.election.lease).await? else {
            let new = Lease {
                metadata: ObjectMeta {
                    name: Some(self.election.lease.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.election.taken(None)),
            };
            return Ok(Attempt::of(self.leases.create(&new).await?));
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if let Some((by, until)) = self.held(&spec) {
            return Ok(Attempt::Held { by, until });
        }
        let taken = Lease {
            spec: Some(self.election.taken(Some(spec))),
            ..lease
        };
        Ok(Attempt::of(self.leases.replace(&taken).await?))
    }

    /// By whom the Lease is held, and until when unless it changes; None where it may be taken.
    fn held(&mut self, spec: &LeaseSpec) -> Option<(String, Instant)> {
        let holder = spec.holder_identity.clone().unwrap_or_default();
        // Of our own name there is only one Pod: what held it was this container, before.
        if holder.is_empty() || holder == self.election.identity {
            return None;
        }
        let since = match &self.seen {
            Some(seen) if seen.spec == *spec => seen.since,
            _ => {
                let since = Instant::now();
                self.seen = Some(Seen {
                    spec: spec.clone(),
                    since,
                });
                since
            }
        };
        let until = since + duration(spec).unwrap_or(self.election.rhythm.duration);
        (Instant::now() < until).then_some((holder, until))
    }
}

enum Attempt {
    Taken(Box<Lease>),
    Held {
        by: String,
        until: Instant,
    },
    /// Another one was faster.
    Lost,
}

impl Attempt {
    fn of(written: Option<Lease>) -> Self {
        written.map_or(Self::Lost, |lease| Self::Taken(Box::new(lease)))
    }
}

impl Election {
    fn taken(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let transitions = before
            .as_ref()
            .map_or(0, |spec| spec.lease_transitions.unwrap_or_default() + 1);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.rhythm.duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..before.unwrap_or_default()
        }
    }
}

/// A replica that leads.
pub struct Holder<L> {
    leases: L,
    election: Election,
    /// As it was last written.
    lease: Lease,
    leadership: Leadership,
}

impl<L> std::fmt::Debug for Holder<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Holder").field(&self.election).finish()
    }
}

/// The Lease is another's.
#[derive(Debug, thiserror::Error)]
#[error("the Lease {lease} is lost: {reason}")]
pub struct Lost {
    lease: String,
    reason: String,
}

impl<L: Leases> Holder<L> {
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Renews until `stop`.
    ///
    /// # Errors
    /// The Lease is another's, or could not be renewed in time.
    pub async fn keep(&mut self, stop: &CancellationToken) -> Result<(), Lost> {
        let pause = self.election.rhythm.renew_every;
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            self.renew().await?;
        }
        Ok(())
    }

    /// Renews, for as long as there is time to try. When it returns, this replica held the Lease at
    /// a moment after the call: whoever takes it does so later.
    ///
    /// # Errors
    /// As [`Holder::keep`].
    pub async fn renew(&mut self) -> Result<(), Lost> {
        let rhythm = self.election.rhythm;
        let mut reason = "nobody has renewed it".to_owned();
        while self.leadership.holds() {
            let asked = Instant::now();
            let end = self.leadership.end().unwrap_or(asked);
            let patience = end.min(asked + rhythm.renew_every);
            match timeout_at(patience, self.renew_once()).await {
                Ok(Ok(true)) => {
                    self.leadership.prolong(asked + rhythm.renew_within);
                    return Ok(());
                }
                Ok(Ok(false)) => return Err(self.lost("another replica has taken it")),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        lease = self.election.lease,
                        "the Lease is not renewed yet"
                    );
                    reason = format!("it could not be renewed: {error}");
                    sleep_until(end.min(asked + rhythm.look_every)).await;
                }
                Err(_) => "the API server does not answer".clone_into(&mut reason),
            }
        }
        Err(self.lost(&reason))
    }

    /// False where somebody else holds it.
    async fn renew_once(&mut self) -> Result<bool, kube::Error> {
        loop {
            let mut lease = self.lease.clone();
            let now = MicroTime(Timestamp::now());
            lease.spec.get_or_insert_default().renew_time = Some(now);
            if let Some(renewed) = self.leases.replace(&lease).await? {
                self.lease = renewed;
                return Ok(true);
            }
            // Somebody wrote in between: perhaps a label, perhaps this very process, whose answer
            // was lost on its way. Then it is tried again with that version.
            match self.leases.get(&self.election.lease).await? {
                Some(found) if is_same_hold(&found, &self.lease) => self.lease = found,
                _ => return Ok(false),
            }
        }
    }

    /// Gives the Lease up, so that another replica leads at once. Nothing is written after this.
    pub async fn release(self) {
        self.leadership.prolong(Instant::now());
        let mut lease = self.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        spec.lease_duration_seconds = Some(1);
        let patience = self.election.rhythm.renew_every;
        match timeout(patience, self.leases.replace(&lease)).await {
            Ok(Ok(_)) => tracing::info!(lease = self.election.lease, "the Lease is given up"),
            // It ends by itself.
            Ok(Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                lease = self.election.lease,
                "the Lease could not be given up"
            ),
            Err(_) => tracing::warn!(
                lease = self.election.lease,
                "the Lease was not given up in time"
            ),
        }
    }

    fn lost(&self, reason: &str) -> Lost {
        self.leadership.prolong(Instant::now());
        Lost {
            lease: self.election.lease.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// Not only the same name: a Pod's container that starts again under it takes the Lease anew.
fn is_same_hold(a: &Lease, b: &Lease) -> bool {
    let hold = |lease: &Lease| {
        let spec = lease.spec.clone().unwrap_or_default();
        (
            spec.holder_identity,
            spec.acquire_time,
            spec.lease_transitions,
        )
    };
    hold(a) == hold(b)
}

fn duration(spec: &LeaseSpec) -> Option<Duration> {
    let seconds = u64::try_from(spec.lease_duration_seconds?).ok()?;
    Some(Duration::from_secs(seconds))
}

/// Once per piece of news: it is found anew with every look.
fn tell(told: &mut String, news: String, say: impl FnOnce(&str)) {
    if *told != news {
        say(&news);
        *told = news;
    }
}

fn lock(end: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    end.lock().unwrap_or_else(PoisonError::into_inner)
}
