//! Bytes -> records, each with the line it begins on. csv-core parses; this counts lines and
//! holds the limit.

use csv_core::ReadRecordResult;

/// One record. Its fields are unquoted; they need not be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// 1 is the file's first line. Blank lines count and are no records.
    pub(super) line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Empty beyond the last field.
    #[inline]
    pub(super) fn field(&self, index: usize) -> &'a [u8] {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before),
            None => Some(&0),
        };
        match (start, self.ends.get(index)) {
            (Some(&start), Some(&end)) => &self.text[start..end],
            _ => b"",
        }
    }

    pub(super) fn fields(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map(move |index| self.field(index))
    }
}

/// What the bytes given so far hold next.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Record(Record<'a>),
    NeedMore,
    /// The record that begins on this line exceeds the limit.
    TooLong {
        line: u64,
        through_line: u64,
    },
}

/// What the end of the file leaves.
#[derive(Debug)]
pub(super) enum Rest<'a> {
    Nothing,
    Record(Record<'a>),
    /// The file ends within quotes that were opened in field `column` of this line's record.
    UnclosedQuote {
        line: u64,
        column: usize,
    },
    TooLong {
        line: u64,
        through_line: u64,
    },
}

#[derive(Debug)]
pub(super) struct Records {
    csv: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Of the record under way, how much of `text` and of `ends` is filled.
    text_length: usize,
    ends_length: usize,
    in_record: bool,
    record_line: u64,
    record_bytes: usize,
    record_bytes_limit: usize,
    /// Line ends between records; csv-core counts those within.
    skipped_lines: u64,
    /// A carriage return was read that a newline may yet complete.
    after_return: bool,
}

impl Records {
    pub(super) fn new(record_bytes_limit: usize) -> Self {
        Self {
            csv: csv_core::Reader::new(),
            text: vec![0; 4096],
            ends: vec![0; 64],
            text_length: 0,
            ends_length: 0,
            in_record: false,
            record_line: 1,
            record_bytes: 0,
            record_bytes_limit,
            skipped_lines: 0,
            after_return: false,
        }
    }

    /// Begins in the middle of a file, at a record's start.
    pub(super) fn at_line(line: u64, record_bytes_limit: usize) -> Self {
        let mut records = Self::new(record_bytes_limit);
        // Only at a file's very start does csv-core skip a byte order mark.
        let (text, ends) = (&mut records.text, &mut records.ends);
        records.csv.read_record(b"\n", text, ends);
        records.csv.set_line(line);
        records
    }

    /// The line of the next record, where it begins with the next byte.
    pub(super) fn next_line(&self) -> u64 {
        self.line() + u64::from(self.after_return)
    }

    /// Says that a record of one line was read without this, with its newline.
    pub(super) fn passed_line(&mut self) {
        self.skipped_lines += 1 + u64::from(self.after_return);
        self.after_return = false;
    }

    /// Whether the record read last ended with a return that a newline may yet complete.
    pub(super) fn is_after_return(&self) -> bool {
        self.after_return
    }

    /// Takes the next record off the front of `input`.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Step<'_> {
        if !self.in_record && !self.begin(input) {
            return Step::NeedMore;
        }
        loop {
            // One byte more than the limit settles it: how the file comes makes no difference.
            let most = (self.record_bytes_limit - self.record_bytes).saturating_add(1);
            let (result, read, text, ends) = self.csv.read_record(
                &input[..most.min(input.len())],
                &mut self.text[self.text_length..],
                &mut self.ends[self.ends_length..],
            );
            let last = read.checked_sub(1).map(|last| input[last]);
            *input = &input[read..];
            self.text_length += text;
            self.ends_length += ends;
            self.record_bytes += read;
            if self.record_bytes > self.record_bytes_limit {
                let (line, through_line) = (self.record_line, self.line());
                return Step::TooLong { line, through_line };
            }
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End if input.is_empty() => {
                    return Step::NeedMore;
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.in_record = false;
                    self.after_return = last == Some(b'\r');
                    return Step::Record(self.record());
                }
            }
        }
    }

    /// What is left when no more bytes come.
    pub(super) fn finish(&mut self) -> Rest<'_> {
        if !self.in_record {
            return Rest::Nothing;
        }
        let (line, column) = (self.record_line, self.ends_length);
        // The newline that is not there: only within quotes does it not end the record.
        match self.next(&mut &b"\n"[..]) {
            Step::NeedMore => Rest::UnclosedQuote { line, column },
            Step::Record(record) => Rest::Record(record),
            Step::TooLong { line, through_line } => Rest::TooLong { line, through_line },
        }
    }

    /// Skips line ends up to the next record's first byte; false where `input` has none.
    fn begin(&mut self, input: &mut &[u8]) -> bool {
        while let Some((&byte, rest)) = input.split_first() {
            // A return counts as a line's end unless a newline follows, which then counts.
            if self.after_return && byte != b'\n' {
                self.skipped_lines += 1;
            }
            self.after_return = byte == b'\r';
            match byte {
                b'\n' => self.skipped_lines += 1,
                b'\r' => {}
                _ => {
                    self.in_record = true;
                    self.record_line = self.line();
                    self.record_bytes = 0;
                    self.text_length = 0;
                    self.ends_length = 0;
                    return true;
                }
            }
            *input = rest;
        }
        false
    }

    fn line(&self) -> u64 {
        self.skipped_lines + self.csv.line()
    }

    fn record(&self) -> Record<'_> {
        Record {
            line: self.record_line,
            text: &self.text[..self.text_length],
            ends: &self.ends[..self.ends_length],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Line and fields of each record, and how the file ends.
    fn read(file: &[u8], chunk: usize) -> Vec<String> {
        let mut records = Records::new(200);
        let mut said = Vec::new();
        let show = |record: Record<'_>| {
            let fields: Vec<_> = record.fields().map(String::from_utf8_lossy).collect();
            format!("{}: {}", record.line, fields.join("|"))
        };
        for mut input in file.chunks(chunk.max(1)) {
            loop {
                match records.next(&mut input) {
                    Step::Record(record) => said.push(show(record)),
                    Step::NeedMore => break,
                    Step::TooLong { line, .. } => {
                        said.push(format!("{line}: too long"));
                        return said;
                    }
                }
            }
        }
        match records.finish() {
            Rest::Nothing => {}
            Rest::Record(record) => said.push(show(record)),
            Rest::UnclosedQuote { line, column } => said.push(format!("{line}: open {column}")),
            Rest::TooLong { line, .. } => said.push(format!("{line}: too long")),
        }
        said
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        for (file, expected) in [
            ("a,b\n1,2\n", vec!["1: a|b", "2: 1|2"]),
            ("a,b\r\n1,2\r\n3,4", vec!["1: a|b", "2: 1|2", "3: 3|4"]),
            ("a\r1\r\r2\r", vec!["1: a", "2: 1", "4: 2"]),
            ("\n\na\n\r\n\n1\n", vec!["3: a", "6: 1"]),
            ("a\n\"x\ny\"\n2\n", vec!["1: a", "2: x\ny", "4: 2"]),
            ("a,b\n1,\"x\n2,3\n", vec!["1: a|b", "2: open 1"]),
            ("a\n\"x\"", vec!["1: a", "2: x"]),
            ("\u{feff}a\n5\" x", vec!["1: a", "2: 5\" x"]),
            ("", vec![]),
            ("\r\n", vec![]),
        ] {
            assert_eq!(read(file.as_bytes(), usize::MAX), expected, "{file:?}");
        }
        let long = format!("a\n{}\n", "x".repeat(201));
        assert_eq!(read(long.as_bytes(), usize::MAX), ["1: a", "2: too long"]);
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            file in "([ab,\"]|\r\n|\n|\r|x{40}){0,60}",
            chunk in 1..80_usize,
        ) {
            prop_assert_eq!(read(file.as_bytes(), chunk), read(file.as_bytes(), usize::MAX));
        }
    }
}
