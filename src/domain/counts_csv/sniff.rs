//! What a file that is no CSV looks like, by its first bytes.

use super::super::finding::{Finding, FindingKind};

/// So many bytes are looked at.
pub(super) const HEAD_BYTES: usize = 1024;

/// The problem with a file that begins with `head`; `whole` says that nothing follows.
pub(super) fn problem(head: &[u8], whole: bool) -> Option<Finding> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if whole && text.iter().all(u8::is_ascii_whitespace) {
        return Some(
            Finding::new(FindingKind::Structure, "EmptyFile", "the file is empty").hint(
                "write the header and one row for each day, agent and variation; an empty file is \
                 often an export that failed",
            ),
        );
    }
    let (what, hint) = magic(head)
        .or_else(|| markup(text))
        .or_else(|| wide_or_binary(head))?;
    Some(
        Finding::new(
            FindingKind::Structure,
            "NotCsv",
            format!("the file is not a CSV but {what}"),
        )
        .hint(hint),
    )
}

/// Formats that announce themselves.
fn magic(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const UNPACK: &str = "a .gz or .zst object is unpacked where the whole object is one gzip or \
                          zstd stream of the CSV; upload it so, or uncompressed";
    const AS_CSV: &str = "export the table as CSV (text with commas, UTF-8)";
    let known: [(&[u8], &str, &str); 15] = [
        (b"\x1f\x8b", "gzip data", UNPACK),
        (b"\x28\xb5\x2f\xfd", "zstd data", UNPACK),
        (
            b"BZh",
            "bzip2 data",
            "compress with gzip or zstd, or not at all",
        ),
        (
            b"\xfd7zXZ\0",
            "xz data",
            "compress with gzip or zstd, or not at all",
        ),
        (
            b"PK\x03\x04",
            "a zip archive or an Excel workbook",
            "upload the CSV itself, as it is or compressed with gzip or zstd",
        ),
        (
            b"PK\x05\x06",
            "an empty zip archive",
            "upload the CSV itself, as it is or compressed with gzip or zstd",
        ),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook", AS_CSV),
        (b"PAR1", "a Parquet file", AS_CSV),
        (b"Obj\x01", "an Avro file", AS_CSV),
        (b"ORC", "an ORC file", AS_CSV),
        (b"ARROW1", "an Arrow file", AS_CSV),
        (b"SQLite format 3\0", "a SQLite database", AS_CSV),
        (b"%PDF", "a PDF document", AS_CSV),
        (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
        (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
    ];
    known
        .into_iter()
        // ORC could begin a header's first name; the format goes on with bytes that no text has.
        .find(|(begins, ..)| {
            head.starts_with(begins)
                && (!matches!(*begins, b"ORC" | b"BZh" | b"PAR1")
                    || head[begins.len()..]
                        .iter()
                        .take(64)
                        .any(|byte| *byte < 9 || *byte > 0x7e))
        })
        .map(|(_, what, hint)| (what, hint))
}

/// Pages and documents that servers put in the place of a file.
fn markup(text: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = text.trim_ascii_start();
    let lower = String::from_utf8_lossy(text).to_lowercase();
    if lower.starts_with('<') {
        return Some(
            if lower.contains("<html") || lower.starts_with("<!doctype html") {
                (
                    "an HTML page",
                    "the export has saved a web page, often a login or an error; look into the object \
                 and mend the job that uploads it",
                )
            } else if lower.contains("<error>") {
                (
                    "an XML error answer",
                    "the export has saved a server's error; look into the object and mend the job \
                 that uploads it",
                )
            } else {
                ("XML", "export the table as CSV (text with commas, UTF-8)")
            },
        );
    }
    let next = text.get(1..).unwrap_or_default().trim_ascii_start().first();
    let json = match text.first() {
        Some(b'{') => matches!(next, Some(b'"' | b'}')),
        Some(b'[') => matches!(next, Some(b'{' | b'[' | b']' | b'"')),
        _ => false,
    };
    json.then_some((
        "JSON",
        "export the table as CSV; where this is an error message, mend the job that uploads it",
    ))
}

/// Text in two bytes a character without a mark, or no text at all.
fn wide_or_binary(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if !head.contains(&0) {
        let controls = head
            .iter()
            .filter(|byte| **byte < 32 && !byte.is_ascii_whitespace())
            .count();
        let binary = controls * 10 > head.len();
        return binary.then_some((
            "binary data",
            "export the table as CSV (text with commas, UTF-8)",
        ));
    }
    let every_second = |offset: usize| {
        let bytes = || head.iter().skip(offset).step_by(2);
        bytes().count() > 1 && bytes().filter(|byte| **byte == 0).count() * 10 > bytes().count() * 9
    };
    Some(if every_second(0) || every_second(1) {
        ("text in UTF-16", "save it as UTF-8")
    } else {
        (
            "binary data",
            "export the table as CSV (text with commas, UTF-8)",
        )
    })
}
