//! Sorted runs of rows in one file without a name, which the system removes with the process.
//!
//! A run is agent days in order: agent (its number), day, number of bytes, and so many bytes of
//! rows: pieces, each the number of a part of the CSV, a length, and rows of that part.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::agent_day::Day;
use super::Spilled;
use super::merge::{DayHead, HeldRun};
use super::packed::{push_varint, read_varint};

const WRITE_BYTES: usize = 256 << 10;
const READ_BYTES: usize = 128 << 10;
/// Agent, day and length as varints.
const MAX_HEAD_BYTES: usize = 3 * 10;

/// The file while it is written.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: BufWriter<File>,
    folder: PathBuf,
    written: u64,
    scratch: Vec<u8>,
}

/// Where in the file a run lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpilledRun {
    start: u64,
    end: u64,
}

/// The file when all is written.
#[derive(Debug)]
pub(super) struct ReadFile {
    file: File,
    folder: PathBuf,
}

impl SpillFile {
    pub(super) fn new(file: File, folder: PathBuf) -> Self {
        Self {
            file: BufWriter::with_capacity(WRITE_BYTES, file),
            folder,
            written: 0,
            scratch: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, run: &HeldRun) -> Result<SpilledRun, Spilled> {
        let start = self.written;
        self.write_days(run)
            .map_err(|error| spilled(&self.folder, error))?;
        let end = self.written;
        Ok(SpilledRun { start, end })
    }

    fn write_days(&mut self, run: &HeldRun) -> io::Result<()> {
        let mut rows = Vec::new();
        for index in 0..run.len() {
            let DayHead { agent, day } = run.head(index);
            rows.clear();
            run.copy(index, &mut rows);
            self.scratch.clear();
            push_varint(&mut self.scratch, agent.into());
            push_varint(&mut self.scratch, day.0.cast_unsigned().into());
            push_varint(&mut self.scratch, rows.len() as u64);
            self.file.write_all(&self.scratch)?;
            self.file.write_all(&rows)?;
            self.written += (self.scratch.len() + rows.len()) as u64;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Arc<ReadFile>, Spilled> {
        let folder = self.folder;
        let file = self
            .file
            .into_inner()
            .map_err(|error| spilled(&folder, error.into_error()))?;
        Ok(Arc::new(ReadFile { file, folder }))
    }
}

fn spilled(folder: &Path, error: io::Error) -> Spilled {
    Spilled {
        folder: folder.to_owned(),
        error: Arc::new(error),
    }
}

/// Reads one run from its start to its end.
#[derive(Debug)]
pub(super) struct RunReader {
    file: Arc<ReadFile>,
    /// What is not yet in `buffer`.
    run: SpilledRun,
    buffer: Vec<u8>,
    at: usize,
    /// Of the day whose head was read last: bytes of its rows.
    rows: usize,
}

impl RunReader {
    pub(super) fn new(file: Arc<ReadFile>, run: SpilledRun) -> Self {
        Self {
            file,
            run,
            buffer: Vec::new(),
            at: 0,
            rows: 0,
        }
    }

    /// The next day; its rows are to be copied before the next call.
    pub(super) fn next(&mut self) -> Result<Option<DayHead>, Spilled> {
        self.want(MAX_HEAD_BYTES)?;
        if self.at == self.buffer.len() {
            return Ok(None);
        }
        let agent = read_varint(&self.buffer, &mut self.at);
        let day = read_varint(&self.buffer, &mut self.at);
        let rows = read_varint(&self.buffer, &mut self.at);
        self.rows = usize::try_from(rows).unwrap_or(usize::MAX);
        Ok(Some(DayHead {
            agent: u32::try_from(agent).unwrap_or(u32::MAX),
            day: Day(u32::try_from(day).unwrap_or(u32::MAX).cast_signed()),
        }))
    }

    /// Copies the rows of the day whose head was read last.
    pub(super) fn copy(&mut self, out: &mut Vec<u8>) -> Result<(), Spilled> {
        self.want(self.rows)?;
        let end = (self.at + self.rows).min(self.buffer.len());
        out.extend_from_slice(&self.buffer[self.at..end]);
        self.at = end;
        Ok(())
    }

    /// Sees that so many bytes, or all that are left, are in the buffer.
    fn want(&mut self, bytes: usize) -> Result<(), Spilled> {
        if self.buffer.len() - self.at >= bytes || self.run.start == self.run.end {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let kept = self.buffer.len();
        let left = usize::try_from(self.run.end - self.run.start).unwrap_or(usize::MAX);
        let more = left.min(READ_BYTES.max(bytes - kept));
        self.buffer.resize(kept + more, 0);
        self.file
            .file
            .read_exact_at(&mut self.buffer[kept..], self.run.start)
            .map_err(|error| spilled(&self.file.folder, error))?;
        self.run.start += more as u64;
        Ok(())
    }
}
