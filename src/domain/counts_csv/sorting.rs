//! Parts of the file put together: rows by agent and day, in memory as long as there is room, then
//! in sorted runs on disk.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::super::agent_day::Day;
use super::Spilled;
use super::chunks::Chunk;
use super::dates::Midnights;
use super::keys::{AllCodes, Keys};
use super::merge::{HeldRun, Source};
use super::room::Room;
use super::rows::{Layout, Part};
use super::spill::{SpillFile, SpilledRun};
use super::told::Told;

/// All rows read so far.
#[derive(Debug)]
pub(super) struct Sorting {
    pub(super) layout: Arc<Layout>,
    pub(super) count: u64,
    pub(super) codes: AllCodes,
    pub(super) keys: Keys,
    pub(super) midnights: Midnights,
    pub(super) days: Option<(Day, Day)>,
    pub(super) told: Told,
    /// By part: where it begins and which keys its rows have.
    pub(super) parts: Vec<PartKeys>,
    held: Held,
    room: Room,
    spill: Option<SpillFile>,
    runs: Vec<SpilledRun>,
}

/// What the rows of a part need to be unpacked.
#[derive(Debug)]
pub(super) struct PartKeys {
    pub(super) first_line: u64,
    /// The number in the whole file of each key of the part. Neighbours often share it.
    pub(super) keys: Arc<[u32]>,
}

/// Rows that are not yet on disk.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Agents (by number) and days, numbered in the order in which they come.
    pub(super) groups: IndexMap<(u32, Day), (), RandomState>,
    last_group: usize,
    /// Of each part its number, and its rows.
    pub(super) parts: Vec<(u32, Vec<u8>)>,
    pub(super) segments: Vec<HeldSegment>,
}

/// Rows of one part, agent and day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeldSegment {
    pub(super) group: u32,
    /// Index into [`Held::parts`].
    pub(super) part: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Held {
    fn group(&mut self, agent: u32, day: Day) -> u32 {
        let is_last = |(key, ()): (&(u32, Day), &())| *key == (agent, day);
        if !self.groups.get_index(self.last_group).is_some_and(is_last) {
            self.last_group = self.groups.insert_full((agent, day), ()).0;
        }
        u32::try_from(self.last_group).expect("a file has fewer rows")
    }
}

impl Sorting {
    pub(super) fn new(layout: Arc<Layout>, told: Told, room: Room) -> Self {
        Self {
            layout,
            count: 0,
            codes: AllCodes::default(),
            keys: Keys::default(),
            midnights: Midnights::default(),
            days: None,
            told,
            parts: Vec::new(),
            held: Held::default(),
            room,
            spill: None,
            runs: Vec::new(),
        }
    }

    /// Reads a chunk of the file.
    pub(super) fn read(layout: &Arc<Layout>, chunk: Chunk) -> (Part, Vec<u8>) {
        (Part::read(layout, &chunk), chunk.into_buffer())
    }

    /// Takes the file's next part.
    ///
    /// # Errors
    /// Where rows have to go to disk and can't.
    pub(super) fn append(&mut self, part: Part) -> Result<(), Spilled> {
        self.count += part.count;
        self.midnights.append(&part.midnights);
        if let Some((first, last)) = part.days {
            let (known_first, known_last) = self.days.unwrap_or((first, last));
            self.days = Some((known_first.min(first), known_last.max(last)));
        }
        let renumbered = self.codes.take_over(&part.codes);
        self.told.append(part.told);
        if !self.told.problems.is_empty() || part.fatal.is_some() {
            // Rows are kept only as long as the file may still be imported.
            self.held = Held::default();
            self.room.give_back();
            return Ok(());
        }
        let number = u32::try_from(self.parts.len()).expect("a file has fewer parts");
        let keys: Vec<u32> = part
            .keys
            .iter()
            .map(|key| self.keys.number(renumbered.key(*key)))
            .collect();
        let same = self.parts.last().filter(|last| *last.keys == *keys);
        let keys = same.map_or_else(|| keys.into(), |last| Arc::clone(&last.keys));
        self.parts.push(PartKeys {
            first_line: part.first_line,
            keys,
        });
        let index = u32::try_from(self.held.parts.len()).expect("a file has fewer parts");
        let mut segments = part.segments.iter().peekable();
        let bytes = u32::try_from(part.bytes.len()).expect("a part has a few megabytes");
        while let Some(segment) = segments.next() {
            let agent = renumbered.agents[segment.agent as usize];
            let group = self.held.group(agent, segment.day);
            self.held.segments.push(HeldSegment {
                group,
                part: index,
                start: segment.start,
                end: segments.peek().map_or(bytes, |next| next.start),
            });
        }
        let mut bytes = part.bytes;
        bytes.shrink_to_fit();
        let taken = bytes.len() + part.segments.len() * size_of::<HeldSegment>();
        self.held.parts.push((number, bytes));
        if self.room.take(taken) {
            Ok(())
        } else {
            self.spill()
        }
    }

    /// Writes what is held to disk, in order.
    fn spill(&mut self) -> Result<(), Spilled> {
        let held = std::mem::take(&mut self.held);
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(self.room.open()?),
        };
        self.runs
            .push(spill.write(&HeldRun::of(held, &self.codes.agents))?);
        self.room.give_back();
        Ok(())
    }

    /// Nothing more comes: the runs, to be merged.
    pub(super) fn take_sources(&mut self) -> Result<Vec<Source>, Spilled> {
        let held = HeldRun::of(std::mem::take(&mut self.held), &self.codes.agents);
        let mut sources = Vec::with_capacity(self.runs.len() + 1);
        if let Some(spill) = self.spill.take() {
            let file = spill.finish()?;
            let runs = self.runs.drain(..);
            sources.extend(runs.map(|run| Source::Spilled(Arc::clone(&file), run)));
        }
        sources.push(Source::Held(Arc::new(held)));
        Ok(sources)
    }

    /// The memory that is held, to be kept as long as the rows are.
    pub(super) fn take_room(&mut self) -> Room {
        self.room.take_out()
    }
}
