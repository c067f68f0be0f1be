//! Bytes -> chunks of whole records, each with the line it begins on, so that chunks can be read
//! apart from each other and at the same time.
//!
//! A file without quotes is cut at newlines that are searched for many bytes at a time; quotes are
//! followed one byte after the other, as csv-core understands them.

use memchr::{memchr, memchr_iter, memrchr};

/// So many zeros follow a chunk's text, so that numbers can be read eight bytes at a time.
pub(super) const PADDING: usize = 16;

/// Whole records, one after the other.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The records, and then [`PADDING`] zeros.
    padded: Vec<u8>,
    pub(super) first_line: u64,
    /// Nothing follows: the last record may lack its line end.
    pub(super) is_last: bool,
}

impl Chunk {
    fn new(mut text: Vec<u8>, first_line: u64, is_last: bool) -> Self {
        text.extend_from_slice(&[0; PADDING]);
        Self {
            padded: text,
            first_line,
            is_last,
        }
    }

    pub(super) fn padded(&self) -> &[u8] {
        &self.padded
    }

    /// Bytes of its records.
    pub(super) fn len(&self) -> usize {
        self.padded.len() - PADDING
    }

    /// Its memory, to be used again.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.padded
    }
}

/// Cuts what follows the header.
#[derive(Debug)]
pub(super) struct Splitter {
    /// From the start of a record on.
    pending: Vec<u8>,
    first_line: u64,
    chunk_bytes: usize,
    record_bytes_limit: usize,
    /// A cut is looked for when so much is pending.
    next_look: usize,
    /// Buffers of chunks that are done with.
    spare: Vec<Vec<u8>>,
}

impl Splitter {
    pub(super) fn new(first_line: u64, chunk_bytes: usize, record_bytes_limit: usize) -> Self {
        Self {
            pending: Vec::new(),
            first_line,
            chunk_bytes,
            record_bytes_limit,
            next_look: chunk_bytes,
            spare: Vec::new(),
        }
    }

    /// Takes from the front of `input`; gives a chunk as soon as there is enough for one.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Option<Chunk> {
        loop {
            let room = self.next_look.saturating_sub(self.pending.len());
            let (taken, rest) = input.split_at(room.min(input.len()));
            if self.pending.capacity() == 0 {
                self.pending.reserve(self.chunk_bytes + PADDING);
            }
            self.pending.extend_from_slice(taken);
            *input = rest;
            if self.pending.len() < self.next_look {
                return None;
            }
            if let Some(cut) = last_record_end(&self.pending) {
                return Some(self.cut(&cut));
            }
            if self.pending.len() > self.record_bytes_limit {
                // Its reader will say that this record is too long.
                let lines = 0;
                let end = self.pending.len();
                return Some(self.cut(&Cut { end, lines }));
            }
            let too_long = self.record_bytes_limit + 1;
            self.next_look = too_long.min(self.next_look + self.chunk_bytes);
        }
    }

    /// What is left when no more bytes come.
    pub(super) fn finish(&mut self) -> Chunk {
        Chunk::new(std::mem::take(&mut self.pending), self.first_line, true)
    }

    /// Takes a chunk's memory back.
    pub(super) fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 4 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    fn cut(&mut self, cut: &Cut) -> Chunk {
        let mut rest = self.spare.pop().unwrap_or_default();
        rest.reserve(self.chunk_bytes + PADDING);
        rest.extend_from_slice(&self.pending[cut.end..]);
        let mut text = std::mem::replace(&mut self.pending, rest);
        text.truncate(cut.end);
        let chunk = Chunk::new(text, self.first_line, false);
        self.first_line += cut.lines;
        self.next_look = self.chunk_bytes.max(self.pending.len() + 1);
        chunk
    }
}

/// The end of the last whole record.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    end: usize,
    /// Lines that end before it.
    lines: u64,
}

fn last_record_end(text: &[u8]) -> Option<Cut> {
    if memchr(b'"', text).is_some() {
        return last_end_among_quotes(text);
    }
    let Some(newline) = memrchr(b'\n', text) else {
        return last_return(text);
    };
    let ended = &text[..=newline];
    let lone_returns = memchr_iter(b'\r', ended).filter(|at| ended[at + 1] != b'\n');
    let lines = memchr_iter(b'\n', ended).count() + lone_returns.count();
    Some(Cut {
        end: newline + 1,
        lines: lines as u64,
    })
}

/// Where lines end with returns alone. One at the very end may yet be followed by a newline.
fn last_return(text: &[u8]) -> Option<Cut> {
    let (_, before_last) = text.split_last()?;
    let end = memrchr(b'\r', before_last)? + 1;
    Some(Cut {
        end,
        lines: memchr_iter(b'\r', &text[..end]).count() as u64,
    })
}

/// csv-core's states, as far as the ends of records need them.
#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Field,
    Quoted,
    /// After a quote within quotes: another one belongs to the text.
    Closing,
}

fn last_end_among_quotes(text: &[u8]) -> Option<Cut> {
    let mut state = State::FieldStart;
    let (mut lines, mut cut) = (0, None);
    for (at, byte) in text.iter().enumerate() {
        state = match (state, byte) {
            (State::Quoted, b'"') => State::Closing,
            (State::Quoted, b'\n') => {
                lines += 1;
                State::Quoted
            }
            (State::FieldStart | State::Closing, b'"') | (State::Quoted, _) => State::Quoted,
            (_, b'\n') => {
                lines += 1;
                cut = Some(Cut { end: at + 1, lines });
                State::FieldStart
            }
            (_, b'\r') => {
                if text.get(at + 1).is_some_and(|next| *next != b'\n') {
                    lines += 1;
                    cut = Some(Cut { end: at + 1, lines });
                }
                State::FieldStart
            }
            (_, b',') => State::FieldStart,
            _ => State::Field,
        };
    }
    cut
}
