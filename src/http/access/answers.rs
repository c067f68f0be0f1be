//! Answers of the API server, kept for a while: a yes for a minute at most, a no for five seconds.
//! Equal questions that are asked at once are asked once.
//!
//! Both kinds have a bound of their own, so that a flood of wrong tokens pushes out no right one. So
//! have the questions under way: those whose newest answer was a yes wait for none of the others, and
//! of either only so many are asked. A client that goes away leaves its question behind.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use tokio::sync::{Semaphore, oneshot};

use super::reviews::ReviewError;

const YES_LASTS: SignedDuration = SignedDuration::from_secs(60);
const NO_LASTS: SignedDuration = SignedDuration::from_secs(5);
/// Different questions that are under way in a lane; who asks one more is to come again.
const MOST_UNDER_WAY: usize = 256;
/// Of those, how many the API server has at once.
const ASKED_AT_ONCE: usize = 16;

/// An answer that can be kept.
pub(super) trait Answer: Clone + Send + Sync + 'static {
    fn is_yes(&self) -> bool;

    /// When it is no longer true, where that is known.
    fn ends(&self) -> Option<Timestamp> {
        None
    }
}

impl Answer for bool {
    fn is_yes(&self) -> bool {
        *self
    }
}

type Flight<V> = Shared<BoxFuture<'static, Result<V, ReviewError>>>;

pub(super) struct Answers<K: Hash + Eq, V> {
    held: Arc<Mutex<Held<K, V>>>,
}

struct Held<K: Hash + Eq, V> {
    yes: LruCache<K, Kept<V>>,
    no: LruCache<K, Kept<V>>,
    flights: HashMap<K, Flight<V>>,
    again: Lane,
    other: Lane,
}

/// What a question waits behind.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// Others whose newest answer was a yes: of callers who are known.
    Again,
    /// All that anybody may think of.
    Other,
}

struct Lane {
    under_way: usize,
    turns: Arc<Semaphore>,
}

impl Lane {
    fn new() -> Self {
        Self {
            under_way: 0,
            turns: Arc::new(Semaphore::new(ASKED_AT_ONCE)),
        }
    }
}

/// How a question is answered.
enum Boarded<V> {
    Kept(V),
    /// With one that is under way.
    Along(Flight<V>),
    /// By one that has to be asked now.
    Departing(Flight<V>, oneshot::Sender<Result<V, ReviewError>>, Which),
    Full,
}

#[derive(Clone)]
struct Kept<V> {
    answer: V,
    asked: Timestamp,
}

impl<V: Answer> Kept<V> {
    fn holds(&self, now: Timestamp) -> bool {
        let lasts = if self.answer.is_yes() {
            YES_LASTS
        } else {
            NO_LASTS
        };
        // A clock that was set back makes an answer older, never younger.
        now >= self.asked
            && now.duration_since(self.asked) < lasts
            && self.answer.ends().is_none_or(|ends| now < ends)
    }
}

impl<K, V> Answers<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Answer,
{
    /// Keeps at most `most` of each kind.
    pub(super) fn at_most(most: NonZeroUsize) -> Self {
        let held = Held {
            yes: LruCache::new(most),
            no: LruCache::new(most),
            flights: HashMap::new(),
            again: Lane::new(),
            other: Lane::new(),
        };
        Self {
            held: Arc::new(Mutex::new(held)),
        }
    }

    /// The answer that is kept, or that somebody waits for, or that `question` has. A question goes on
    /// where nobody waits for it any more.
    ///
    /// # Errors
    /// What `question` says, and [`ReviewError::Busy`] where too many others are under way.
    pub(super) async fn ask<F>(
        &self,
        key: K,
        now: Timestamp,
        question: impl FnOnce() -> F,
    ) -> Result<V, ReviewError>
    where
        F: Future<Output = Result<V, ReviewError>> + Send + 'static,
    {
        let boarded = lock(&self.held).board(&key, now);
        let flight = match boarded {
            Boarded::Kept(answer) => return Ok(answer),
            Boarded::Full => return Err(ReviewError::Busy),
            Boarded::Along(flight) => flight,
            Boarded::Departing(flight, tell, which) => {
                let landing = Landing {
                    held: Arc::clone(&self.held),
                    key,
                    which,
                };
                depart(landing, now, question(), tell);
                flight
            }
        };
        flight.await
    }
}

/// Asks in its turn, and tells those who wait.
fn depart<K, V>(
    landing: Landing<K, V>,
    now: Timestamp,
    question: impl Future<Output = Result<V, ReviewError>> + Send + 'static,
    tell: oneshot::Sender<Result<V, ReviewError>>,
) where
    K: Hash + Eq + Clone + Send + 'static,
    V: Answer,
{
    let turns = Arc::clone(&lock(&landing.held).lane(landing.which).turns);
    tokio::spawn(async move {
        let turn = turns.acquire_owned().await;
        let answer = question.await;
        drop(turn);
        if let Ok(answer) = &answer {
            lock(&landing.held).keep(landing.key.clone(), answer.clone(), now);
        }
        drop(landing);
        tell.send(answer).ok();
    });
}

/// Ends a flight, however that happens.
struct Landing<K: Hash + Eq, V> {
    held: Arc<Mutex<Held<K, V>>>,
    key: K,
    which: Which,
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.flights.remove(&self.key);
        held.lane(self.which).under_way -= 1;
    }
}

impl<K: Hash + Eq, V> Held<K, V> {
    fn lane(&mut self, which: Which) -> &mut Lane {
        match which {
            Which::Again => &mut self.again,
            Which::Other => &mut self.other,
        }
    }
}

impl<K: Hash + Eq + Clone, V: Answer> Held<K, V> {
    fn board(&mut self, key: &K, now: Timestamp) -> Boarded<V> {
        if let Some(answer) = self.kept(key, now) {
            return Boarded::Kept(answer);
        }
        if let Some(flight) = self.flights.get(key) {
            return Boarded::Along(flight.clone());
        }
        // One that holds no longer is still there: a no would have taken its place.
        let which = if self.yes.contains(key) {
            Which::Again
        } else {
            Which::Other
        };
        let lane = self.lane(which);
        if lane.under_way >= MOST_UNDER_WAY {
            return Boarded::Full;
        }
        lane.under_way += 1;
        let (tell, told) = oneshot::channel();
        let gone = || ReviewError::Unreachable("the question was given up".to_owned());
        let flight = async move { told.await.unwrap_or_else(|_| Err(gone())) };
        let flight = flight.boxed().shared();
        self.flights.insert(key.clone(), flight.clone());
        Boarded::Departing(flight, tell, which)
    }

    fn kept(&mut self, key: &K, now: Timestamp) -> Option<V> {
        let holds = |kept: &&Kept<V>| kept.holds(now);
        let kept = self.yes.get(key).filter(holds);
        let kept = kept.or_else(|| self.no.get(key).filter(holds));
        kept.map(|kept| kept.answer.clone())
    }

    fn keep(&mut self, key: K, answer: V, asked: Timestamp) {
        let (of_its_kind, other) = if answer.is_yes() {
            (&mut self.yes, &mut self.no)
        } else {
            (&mut self.no, &mut self.yes)
        };
        other.pop(&key);
        of_its_kind.put(key, Kept { answer, asked });
    }
}

fn lock<K: Hash + Eq, V>(held: &Mutex<Held<K, V>>) -> MutexGuard<'_, Held<K, V>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Oracle {
        asked: Arc<AtomicUsize>,
    }

    impl Oracle {
        async fn ask<V: Answer>(
            &self,
            answers: &Answers<u32, V>,
            key: u32,
            second: i64,
            says: Result<V, ReviewError>,
        ) -> Result<V, ReviewError> {
            let now = Timestamp::from_second(second).unwrap();
            let asked = Arc::clone(&self.asked);
            answers
                .ask(key, now, || async move {
                    asked.fetch_add(1, Ordering::SeqCst);
                    // Others come to ask the same meanwhile.
                    tokio::task::yield_now().await;
                    says
                })
                .await
        }

        fn times(&self) -> usize {
            self.asked.swap(0, Ordering::SeqCst)
        }
    }

    fn answers<V: Answer>(most: usize) -> Answers<u32, V> {
        Answers::at_most(NonZeroUsize::new(most).unwrap())
    }

    #[tokio::test]
    async fn a_yes_lasts_a_minute_and_a_no_five_seconds() {
        let (oracle, answers) = (Oracle::default(), answers(8));
        for (says, lasts) in [(true, 60), (false, 5)] {
            let key = u32::from(says);
            for (second, times) in [(100, 1), (100 + lasts - 1, 0), (100 + lasts, 1), (90, 1)] {
                let said = oracle.ask(&answers, key, second, Ok(says)).await;
                assert_eq!(said, Ok(says));
                assert_eq!(oracle.times(), times, "{says} at {second}");
            }
        }
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Until(Timestamp);

    impl Answer for Until {
        fn is_yes(&self) -> bool {
            true
        }

        fn ends(&self) -> Option<Timestamp> {
            Some(self.0)
        }
    }

    #[tokio::test]
    async fn it_does_not_outlast_what_it_is_about() {
        let (oracle, answers) = (Oracle::default(), answers(8));
        let until = Until(Timestamp::from_second(110).unwrap());
        for (second, times) in [(100, 1), (109, 0), (110, 1)] {
            let said = oracle.ask(&answers, 1, second, Ok(until.clone())).await;
            assert_eq!(said, Ok(until.clone()));
            assert_eq!(oracle.times(), times, "{second}");
        }
    }

    #[tokio::test]
    async fn equal_questions_at_once_are_one() {
        let (oracle, answers) = (Oracle::default(), answers(8));
        let asking = (0..100).map(|_| oracle.ask(&answers, 1, 100, Ok(true)));
        let said = futures::future::join_all(asking).await;
        assert!(said.iter().all(|said| *said == Ok(true)));
        assert_eq!(oracle.times(), 1);
        // What nobody could answer is asked again, and by nobody's panic is it lost.
        let down = ReviewError::Unreachable("down".to_owned());
        for _ in 0..2 {
            let said = oracle.ask(&answers, 2, 100, Err(down.clone())).await;
            assert_eq!(said, Err(down.clone()));
            assert_eq!(oracle.times(), 1);
        }
        let panics = answers.ask(3, Timestamp::UNIX_EPOCH, || async { panic!("no answer") });
        assert!(panics.await.is_err());
        assert_eq!(oracle.ask(&answers, 3, 100, Ok(true)).await, Ok(true));
    }

    #[tokio::test]
    async fn a_flood_of_noes_pushes_out_no_yes() {
        let (oracle, answers) = (Oracle::default(), answers(2));
        for (key, says) in [(1, true), (2, false), (3, false), (4, false), (5, true)] {
            oracle.ask(&answers, key, 100, Ok(says)).await.unwrap();
        }
        oracle.times();
        for (key, says, times) in [(1, true, 0), (5, true, 0), (4, false, 0), (2, false, 1)] {
            oracle.ask(&answers, key, 101, Ok(says)).await.unwrap();
            assert_eq!(oracle.times(), times, "{key}");
        }
        // The one that was asked for longest ago goes.
        oracle.ask(&answers, 6, 101, Ok(true)).await.unwrap();
        oracle.times();
        oracle.ask(&answers, 1, 101, Ok(true)).await.unwrap();
        assert_eq!(oracle.times(), 1);
    }

    #[tokio::test]
    async fn a_flood_of_questions_has_an_end_and_holds_up_nobody_who_is_known() {
        let answers = answers::<bool>(8);
        let gate = Arc::new(Semaphore::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let at = |second| Timestamp::from_second(second).unwrap();
        let ask = |key, second, waits: bool| {
            let (gate, asked) = (Arc::clone(&gate), Arc::clone(&asked));
            answers.ask(key, at(second), move || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                if waits {
                    let _open = gate.acquire().await;
                }
                Ok(true)
            })
        };
        let (known, first, most) = (0, 1, u32::try_from(MOST_UNDER_WAY).unwrap());
        assert_eq!(ask(known, 0, false).await, Ok(true));
        for key in first..=most {
            // The client is gone before there is an answer.
            assert_eq!(ask(key, 60, true).now_or_never(), None);
        }
        let one_more = ask(most + 1, 60, true).now_or_never();
        assert_eq!(one_more, Some(Err(ReviewError::Busy)));
        // Its yes is over, and it is asked again at once.
        assert_eq!(ask(known, 60, false).await, Ok(true));
        assert_eq!(asked.load(Ordering::SeqCst), 2 + ASKED_AT_ONCE);
        // Who asks what is under way waits for that.
        let along = ask(most, 60, true);
        gate.close();
        assert_eq!(along.await, Ok(true));
        assert_eq!(ask(most + 1, 60, true).await, Ok(true));
        let held = lock(&answers.held);
        let under_way = [&held.again, &held.other].map(|lane| lane.under_way);
        assert_eq!((under_way, held.flights.len()), ([0, 0], 0));
    }
}
