//! Collects findings in bounded memory: the first structure problems in words and the number of
//! all; of warnings one per kind and column, with the first place and how often it occurs.

use indexmap::IndexMap;

use super::super::finding::{Finding, FindingKind, grouped};

/// Problems that reject the file.
#[derive(Debug)]
pub(super) struct Problems {
    limit: usize,
    kept: Vec<Finding>,
    total: u64,
}

impl Problems {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Vec::new(),
            total: 0,
        }
    }

    /// Words are made only for a finding that is kept.
    pub(super) fn add(&mut self, finding: impl FnOnce() -> Finding) {
        self.total += 1;
        if self.kept.len() < self.limit {
            self.kept.push(finding());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Adds those of what follows.
    pub(super) fn append(&mut self, later: Self) {
        self.total += later.total;
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend(later.kept.into_iter().take(room));
    }

    /// The first problems, by line, and how many there are.
    pub(super) fn take(&mut self) -> (Vec<Finding>, u64) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_by_key(|finding| finding.line);
        (kept, std::mem::take(&mut self.total))
    }
}

/// What repeats is told once: `place` sets apart columns, agents' arms and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    code: &'static str,
    place: usize,
}

#[derive(Debug)]
struct Note {
    finding: Finding,
    times: u64,
}

/// Findings that do not reject by themselves.
#[derive(Debug, Default)]
pub(super) struct Notes(IndexMap<Kind, Note>);

impl Notes {
    /// Counts one occurrence; words are made where it is the first, or on an earlier line.
    pub(super) fn add(
        &mut self,
        code: &'static str,
        place: usize,
        line: Option<u64>,
        finding: impl FnOnce() -> Finding,
    ) {
        match self.0.entry(Kind { code, place }) {
            indexmap::map::Entry::Occupied(mut known) => {
                let note = known.get_mut();
                note.times += 1;
                if line < note.finding.line {
                    note.finding = finding();
                }
            }
            indexmap::map::Entry::Vacant(new) => {
                new.insert(Note {
                    finding: finding(),
                    times: 1,
                });
            }
        }
    }

    /// Adds those of what follows, as if each had been added here.
    pub(super) fn append(&mut self, later: Self) {
        for (kind, note) in later.0 {
            match self.0.entry(kind) {
                indexmap::map::Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.times += note.times;
                    if note.finding.line < known.finding.line {
                        known.finding = note.finding;
                    }
                }
                indexmap::map::Entry::Vacant(new) => {
                    new.insert(note);
                }
            }
        }
    }

    /// How often findings of `kind` occur.
    pub(super) fn times(&self, kind: FindingKind) -> u64 {
        self.0
            .values()
            .filter(|note| note.finding.kind == kind)
            .map(|note| note.times)
            .sum()
    }

    /// By kind and line, at most `limit` of them, and how often all occur.
    pub(super) fn into_findings(
        self,
        limit: usize,
        wanted: impl Fn(FindingKind) -> bool,
    ) -> (Vec<Finding>, u64) {
        let mut total = 0;
        let mut findings = Vec::new();
        for Note { mut finding, times } in self.0.into_values() {
            if !wanted(finding.kind) {
                continue;
            }
            total += times;
            if times > 1 {
                finding.message = format!(
                    "{}; and {} more like it",
                    finding.message,
                    grouped(times - 1)
                );
            }
            findings.push(finding);
        }
        findings.sort_by_key(|finding| (finding.kind, finding.line));
        findings.truncate(limit);
        (findings, total)
    }
}
