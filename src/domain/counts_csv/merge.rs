//! Runs of rows, each in order of agent and day, merged into one: days in order, each once, in
//! batches that can be worked on apart from each other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::super::agent_day::Day;
use super::Spilled;
use super::codes::Codes;
use super::packed::{SLACK, push_varint};
use super::sorting::{Held, HeldSegment};
use super::spill::{ReadFile, RunReader, SpilledRun};

/// Rows of one batch, packed.
const BATCH_BYTES: usize = 256 << 10;

/// Of which agent (by number) and day rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayHead {
    pub(super) agent: u32,
    pub(super) day: Day,
}

/// Rows in memory, in order.
#[derive(Debug)]
pub(super) struct HeldRun {
    heads: Vec<DayHead>,
    /// Where the segments of each day end.
    ends: Vec<u32>,
    segments: Vec<HeldSegment>,
    parts: Vec<(u32, Vec<u8>)>,
}

impl HeldRun {
    pub(super) fn of(held: Held, agents: &Codes) -> Self {
        let heads: Vec<DayHead> = held
            .groups
            .keys()
            .map(|(agent, day)| DayHead {
                agent: *agent,
                day: *day,
            })
            .collect();
        let mut order: Vec<u32> = (0..).take(heads.len()).collect();
        order.sort_unstable_by(|one, other| {
            let (one, other) = (heads[*one as usize], heads[*other as usize]);
            if one.agent == other.agent {
                return one.day.cmp(&other.day);
            }
            agents.get(one.agent).cmp(agents.get(other.agent))
        });
        // Segments go to the places of their days, and stay in their order there.
        let mut places = vec![0_u32; heads.len()];
        for segment in &held.segments {
            places[segment.group as usize] += 1;
        }
        let (mut end, mut ends) = (0, Vec::with_capacity(heads.len()));
        for group in &order {
            let place = &mut places[*group as usize];
            let segments = std::mem::replace(place, end);
            end += segments;
            ends.push(end);
        }
        let mut segments = vec![HeldSegment::default(); held.segments.len()];
        for segment in held.segments {
            let place = &mut places[segment.group as usize];
            segments[*place as usize] = segment;
            *place += 1;
        }
        Self {
            heads: order.iter().map(|group| heads[*group as usize]).collect(),
            ends,
            segments,
            parts: held.parts,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn head(&self, index: usize) -> DayHead {
        self.heads[index]
    }

    /// Copies the rows of one day.
    pub(super) fn copy(&self, index: usize, out: &mut Vec<u8>) {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        for segment in &self.segments[start as usize..self.ends[index] as usize] {
            let (part, bytes) = &self.parts[segment.part as usize];
            let rows = &bytes[segment.start as usize..segment.end as usize];
            push_varint(out, (*part).into());
            push_varint(out, rows.len() as u64);
            out.extend_from_slice(rows);
        }
    }
}

/// A run, to be read from its start any number of times.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Held(Arc<HeldRun>),
    Spilled(Arc<ReadFile>, SpilledRun),
}

/// A run while it is read.
#[derive(Debug)]
enum Cursor {
    Held { run: Arc<HeldRun>, next: usize },
    Spilled(RunReader),
}

impl Cursor {
    fn new(source: &Source) -> Self {
        match source {
            Source::Held(run) => Self::Held {
                run: Arc::clone(run),
                next: 0,
            },
            Source::Spilled(file, run) => Self::Spilled(RunReader::new(Arc::clone(file), *run)),
        }
    }

    fn next(&mut self) -> Result<Option<DayHead>, Spilled> {
        match self {
            Self::Held { run, next } => {
                *next += 1;
                Ok(run.heads.get(*next - 1).copied())
            }
            Self::Spilled(reader) => reader.next(),
        }
    }

    fn copy(&mut self, out: &mut Vec<u8>) -> Result<(), Spilled> {
        match self {
            Self::Held { run, next } => {
                run.copy(*next - 1, out);
                Ok(())
            }
            Self::Spilled(reader) => reader.copy(out),
        }
    }
}

/// Some agent days, in order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Each with where its rows end.
    pub(super) days: Vec<(DayHead, usize)>,
    /// Rows, and then [`SLACK`] bytes.
    pub(super) bytes: Vec<u8>,
}

/// All days in order.
#[derive(Debug)]
pub(super) struct Merge {
    cursors: Vec<Cursor>,
    /// The next day of each run: agent (by its place in order), day, run.
    next: BinaryHeap<Reverse<(u32, Day, usize)>>,
    ranks: Arc<[u32]>,
    heads: Vec<DayHead>,
}

impl Merge {
    /// `ranks` are the places of the agents in their order.
    pub(super) fn new(sources: &[Source], ranks: Arc<[u32]>) -> Result<Self, Spilled> {
        let mut merge = Self {
            cursors: sources.iter().map(Cursor::new).collect(),
            next: BinaryHeap::with_capacity(sources.len()),
            heads: vec![
                DayHead {
                    agent: 0,
                    day: Day(0)
                };
                sources.len()
            ],
            ranks,
        };
        for run in 0..sources.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> Result<(), Spilled> {
        if let Some(head) = self.cursors[run].next()? {
            self.heads[run] = head;
            let rank = self.ranks[head.agent as usize];
            self.next.push(Reverse((rank, head.day, run)));
        }
        Ok(())
    }

    /// None at the end.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, Spilled> {
        let mut batch = Batch {
            days: Vec::new(),
            bytes: Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 4),
        };
        while batch.bytes.len() < BATCH_BYTES
            && let Some(Reverse((rank, day, first))) = self.next.pop()
        {
            let head = self.heads[first];
            let mut run = first;
            loop {
                // Runs in their order: rows stay in order of line.
                self.cursors[run].copy(&mut batch.bytes)?;
                self.advance(run)?;
                match self.next.peek() {
                    Some(Reverse((other, its_day, next))) if (*other, *its_day) == (rank, day) => {
                        run = *next;
                        self.next.pop();
                    }
                    _ => break,
                }
            }
            batch.days.push((head, batch.bytes.len()));
        }
        batch.bytes.extend_from_slice(&[0; SLACK]);
        Ok((!batch.days.is_empty()).then_some(batch))
    }
}
