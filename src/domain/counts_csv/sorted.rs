//! A file whose rows are all in and in order: looked at once, and then given away day by day.

use std::fmt;
use std::sync::Arc;

use super::super::data_source::{Dating, OnIntegrityProblem};
use super::super::finding::FindingKind;
use super::batch::{BatchReview, Found};
use super::codes::Codes;
use super::day::{DayCells, FileDay, Unpacking};
use super::in_order::InOrder;
use super::keys::SortedKeys;
use super::merge::{Batch, Merge, Source};
use super::reader::header_only;
use super::review::{self, Review};
use super::room::Room;
use super::rows::Layout;
use super::sorting::Sorting;
use super::{CsvSpec, Means, Rejected, Reviewed, Spilled, Summary, Unread};

/// All rows of a file, and what it takes to unpack them.
#[derive(Debug)]
struct SortedFile {
    sources: Vec<Source>,
    agents: Codes,
    /// The place of each agent (by number) in their order.
    ranks: Arc<[u32]>,
    unpacking: Unpacking,
    layout: Arc<Layout>,
    /// What the rows in memory take.
    _room: Room,
}

/// Looks at every agent day.
pub(super) fn review(
    mut sorting: Sorting,
    spec: &CsvSpec,
    means: &Means,
    bytes: u64,
) -> Result<Reviewed, Unread> {
    if sorting.count == 0 {
        return Err(header_only().into());
    }
    sorting.told.reject_problems()?;
    let layout = Arc::clone(&sorting.layout);
    let limits = &layout.limits;
    let sources = sorting.take_sources()?;
    let (keys, places) = SortedKeys::of(&sorting.keys, &sorting.codes);
    let goals = &layout.columns.goals;
    let unpacking = Unpacking {
        parts: std::mem::take(&mut sorting.parts),
        keys,
        places,
        goals: goals.iter().map(|goal| Arc::clone(&goal.code)).collect(),
        valued: goals.iter().map(|goal| goal.values.is_some()).collect(),
    };
    let file = Arc::new(SortedFile {
        sources,
        ranks: sorting.codes.agents.ranks().into(),
        agents: std::mem::take(&mut sorting.codes.agents),
        unpacking,
        layout: Arc::clone(&layout),
        _room: sorting.take_room(),
    });
    let mut review = Review::new(sorting.told, &layout.columns);
    let dating = spec.dating;
    let batches = Worked::new(&file, means.workers, move |file, batch| {
        review_batch(file, &batch, dating)
    })?;
    for found in batches {
        review.append(found?, &file.agents);
    }
    review.finish(&file.agents, &layout.columns);
    let agent_days = review.agent_days;
    let mut told = review.told;
    told.reject_problems()?;
    review::review_codes(&file.agents, &sorting.codes, &layout.columns, &mut told);
    told.note_midnights(&sorting.midnights, &layout.columns);
    if spec.on_integrity_problem == OnIntegrityProblem::Reject
        && told.notes.times(FindingKind::Always) > 0
    {
        let always = |kind| kind == FindingKind::Always;
        let (findings, total) = told.notes.into_findings(limits.findings, always);
        return Err(Rejected { findings, total }.into());
    }
    let (findings, total_findings) = told.notes.into_findings(limits.findings, |_| true);
    let summary = Summary {
        rows: sorting.count,
        bytes,
        agents: file.agents.sorted(),
        agent_days,
        first_day: sorting.days.map(|days| days.0),
        last_day: sorting.days.map(|days| days.1),
        findings,
        total_findings,
    };
    let workers = means.workers;
    Ok(Reviewed {
        summary,
        days: FileDays { file, workers },
    })
}

fn review_batch(file: &SortedFile, batch: &Batch, dating: Dating) -> Found {
    let mut review = BatchReview::new(&file.unpacking, &file.layout, dating);
    file.days(batch, |agent, day| {
        review.day(agent, day.agent, day.day, day.cells);
    });
    review.finish()
}

impl SortedFile {
    /// Unpacks one day after the other; each agent comes with its number.
    fn days(&self, batch: &Batch, mut each: impl FnMut(u32, FileDay<'_>)) {
        let mut cells = DayCells::default();
        let mut agent: Option<(u32, Arc<str>)> = None;
        let mut start = 0;
        for (head, end) in &batch.days {
            cells.unpack(&self.unpacking, &batch.bytes, start, *end);
            start = *end;
            let (number, code) = match &mut agent {
                Some(known) if known.0 == head.agent => known,
                other => other.insert((head.agent, self.agents.get(head.agent).into())),
            };
            let day = FileDay {
                agent: code,
                day: head.day,
                of: &self.unpacking,
                cells: &cells,
            };
            each(*number, day);
        }
    }
}

/// The agent days of a file in order of agent and day, each once.
#[derive(Debug)]
pub struct FileDays {
    file: Arc<SortedFile>,
    workers: usize,
}

impl FileDays {
    /// Gives what `each` makes of each day, in order. It is called on several threads; days that
    /// follow each other share what `begin` gives.
    ///
    /// # Errors
    /// Of each item: where rows cannot be read back from disk.
    pub fn map<S, T: Send + 'static>(
        self,
        begin: impl Fn() -> S + Send + Sync + 'static,
        each: impl Fn(&mut S, FileDay<'_>) -> T + Send + Sync + 'static,
    ) -> impl Iterator<Item = Result<T, Spilled>> + Send {
        let work = move |file: &SortedFile, batch: Batch| {
            let (mut shared, mut made) = (begin(), Vec::with_capacity(batch.days.len()));
            file.days(&batch, |_, day| made.push(each(&mut shared, day)));
            made
        };
        let (batches, failed) = match Worked::new(&self.file, self.workers, work) {
            Ok(batches) => (Some(batches), None),
            Err(error) => (None, Some(Err(error))),
        };
        let made = batches.into_iter().flatten().flat_map(|batch| {
            let (made, failed) = match batch {
                Ok(made) => (made, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            made.into_iter().map(Ok).chain(failed)
        });
        failed.into_iter().chain(made)
    }
}

/// Work on each batch of a file, on several threads; results come in order.
struct Worked<T, W> {
    file: Arc<SortedFile>,
    /// None when all are given, or one could not be read.
    merge: Option<Merge>,
    under_way: InOrder<T>,
    work: Arc<W>,
}

impl<T, W> fmt::Debug for Worked<T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worked").finish_non_exhaustive()
    }
}

impl<T, W> Worked<T, W>
where
    T: Send + 'static,
    W: Fn(&SortedFile, Batch) -> T + Send + Sync + 'static,
{
    fn new(file: &Arc<SortedFile>, workers: usize, work: W) -> Result<Self, Spilled> {
        Ok(Self {
            file: Arc::clone(file),
            merge: Some(Merge::new(&file.sources, Arc::clone(&file.ranks))?),
            under_way: InOrder::new(workers),
            work: Arc::new(work),
        })
    }

    /// Begins work on as many batches as there are threads for.
    fn give(&mut self) -> Result<(), Spilled> {
        while !self.under_way.is_full()
            && let Some(merge) = &mut self.merge
        {
            let Some(batch) = merge.next()? else {
                self.merge = None;
                break;
            };
            let (file, work) = (Arc::clone(&self.file), Arc::clone(&self.work));
            self.under_way.give(move || work(&file, batch));
        }
        Ok(())
    }
}

impl<T, W> Iterator for Worked<T, W>
where
    T: Send + 'static,
    W: Fn(&SortedFile, Batch) -> T + Send + Sync + 'static,
{
    type Item = Result<T, Spilled>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.give() {
            self.merge = None;
            self.under_way = InOrder::new(1);
            return Some(Err(error));
        }
        self.under_way.take().map(Ok)
    }
}
