//! The corpus in `tests/data`: what each file is read as, or how it is refused, in the very words
//! that a person gets to see.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sumsq::domain::agent_day::{AgentDay, Cell, GoalCounts};
use sumsq::domain::counts_csv::{CsvSpec, Limits, Parsed, Reader, Rejected};
use sumsq::domain::data_source::{Dating, Goal, GoodDirection, OnIntegrityProblem};
use sumsq::domain::fetch::ErrorCode;

fn goal(code: &str, numeric: bool) -> Goal {
    Goal {
        code: code.into(),
        display_name: None,
        numeric,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

fn spec(goals: Vec<Goal>) -> CsvSpec {
    CsvSpec {
        goals,
        dating: Dating::Exposure,
        on_integrity_problem: OnIntegrityProblem::Warn,
    }
}

/// The goals that a file of the corpus is read with.
fn spec_of(name: &str) -> CsvSpec {
    match name {
        "document_example" => spec(vec![goal("sales", true)]),
        "two_goals" | "absent_goal" | "absent_goal_misspelled" => {
            spec(vec![goal("g-sales", true), goal("g-signup", false)])
        }
        _ => spec(vec![goal("g-sales", true)]),
    }
}

fn read(file: &[u8], spec: CsvSpec, limits: Limits, chunk: usize) -> Result<Parsed, Rejected> {
    let mut reader = Reader::new(spec, limits);
    for chunk in file.chunks(chunk) {
        reader.feed(chunk)?;
    }
    reader.finish()
}

fn read_whole(file: &[u8], spec: CsvSpec) -> Result<Parsed, Rejected> {
    read(file, spec, Limits::default(), usize::MAX)
}

fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths
        .iter()
        .map(|path| (name(path), fs::read(path).unwrap()))
        .collect()
}

/// Everything that was read, as text.
fn shown(parsed: Parsed) -> String {
    let summary = parsed.summary;
    let mut text = format!(
        "{} rows, {} bytes, {} agent days of {}, {} to {}\n",
        summary.rows,
        summary.bytes,
        summary.agent_days,
        summary.agents.join(" | "),
        summary.first_day.unwrap(),
        summary.last_day.unwrap(),
    );
    for AgentDay {
        agent,
        day,
        goals,
        cells,
    } in parsed.agent_days
    {
        writeln!(text, "{agent} {day}").unwrap();
        for Cell {
            key,
            visitors,
            goals: counts,
        } in cells.to_cells()
        {
            let (variation, policy) = (key.variation, key.policy);
            let visitor_trait = key
                .visitor_trait
                .map_or(String::new(), |one| format!(" {}={}", one.group, one.value));
            write!(text, "  {variation} {policy}{visitor_trait}: {visitors}").unwrap();
            for (goal, counts) in goals.iter().zip(counts) {
                write!(text, ", {goal} {}", shown_counts(counts)).unwrap();
            }
            text.push('\n');
        }
    }
    writeln!(text, "{} findings", summary.total_findings).unwrap();
    for finding in summary.findings {
        writeln!(text, "{:?} {}: {finding}", finding.kind, finding.code).unwrap();
    }
    text
}

fn shown_counts(counts: GoalCounts) -> String {
    let GoalCounts {
        count,
        count_sumsq,
        values,
    } = counts;
    let values = values.map_or(String::new(), |values| {
        let decimal = |value: sumsq::domain::agent_day::Decimal| {
            format!("{} ({} decimals)", value.to_f64(), value.decimals)
        };
        format!(
            " worth {}, squares {}",
            decimal(values.sum),
            decimal(values.sumsq)
        )
    });
    format!("{count}, squares {count_sumsq}{values}")
}

fn shown_refusal(rejected: &Rejected) -> String {
    let mut text = String::new();
    for finding in &rejected.findings {
        writeln!(text, "{}: {finding}", finding.code).unwrap();
    }
    if rejected.total > rejected.findings.len() as u64 || rejected.total > 1 {
        writeln!(text, "{} in all", rejected.total).unwrap();
    }
    text
}

/// A snapshot beside the file.
fn assert_beside(folder: &str, name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => format!("data/{folder}"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn good_files_are_read() {
    for (name, file) in corpus("good") {
        let parsed = read_whole(&file, spec_of(&name))
            .unwrap_or_else(|rejected| panic!("{name}: {}", shown_refusal(&rejected)));
        assert_beside("good", &name, &shown(parsed));
    }
}

#[test]
fn bad_files_are_refused_with_words_that_help() {
    for (name, file) in corpus("bad") {
        let rejected = read_whole(&file, spec_of(&name)).expect_err(&name);
        assert_eq!(rejected.class(), ErrorCode::InvalidCsv, "{name}");
        assert!(rejected.message().chars().count() <= 1024, "{name}");
        assert_beside("bad", &name, &shown_refusal(&rejected));
    }
}

#[test]
fn chunks_of_any_size_make_no_difference() {
    for folder in ["good", "bad"] {
        for (name, file) in corpus(folder) {
            let whole = read_whole(&file, spec_of(&name)).map(shown);
            for chunk in [1, 2, 3, 7, 64, 1023, 1025] {
                let cut = read(&file, spec_of(&name), Limits::default(), chunk).map(shown);
                assert_eq!(cut, whole, "{name} in chunks of {chunk}");
            }
        }
    }
}

const HEADER: &str =
    "Date,Agent,Variation,Sels,g-sales,g-sales_sumsq,g-sales_val,g-sales_val_sumsq";

#[test]
fn a_line_of_ten_megabytes_is_refused_while_it_is_read() {
    let spec = || spec(vec![goal("g-sales", true)]);
    let long = format!(
        "{HEADER}\n1710720000,{},A,1,0,0,0,0\n",
        "a".repeat(10 << 20)
    );
    let rejected = read(long.as_bytes(), spec(), Limits::default(), 1 << 16).unwrap_err();
    insta::assert_snapshot!(shown_refusal(&rejected), @r##"
    RecordTooLong: line 2: a row longer than 1,048,576 bytes
      hint: a row is some hundred bytes: check that the file's lines end with newlines
    "##);
    // An unclosed quote does the same to a file of ordinary lines.
    let row = "1710720000,agent-1,A,1,0,0,0,0\n";
    let open = format!(
        "{HEADER}\n{row}1710720000,\"agent-1,A,1,0,0,0,0\n{}",
        row.repeat(50_000)
    );
    let mut reader = Reader::new(spec(), Limits::default());
    let mut fed = 0;
    let rejected = open
        .as_bytes()
        .chunks(1 << 16)
        .find_map(|chunk| {
            fed += chunk.len();
            reader.feed(chunk).err()
        })
        .unwrap();
    assert!(fed < 1 << 21, "{fed} bytes were read before the refusal");
    insta::assert_snapshot!(shown_refusal(&rejected), @r##"
    RecordTooLong: line 3: a row longer than 1,048,576 bytes
      hint: a quote that is opened and never closed swallows the lines after it: close it, or double each quote that belongs to the text ("")
    "##);
    assert_eq!(reader.finish().unwrap_err(), rejected);
}

#[test]
fn the_first_problems_are_told_and_all_are_counted() {
    let spec = spec(vec![goal("g-sales", true)]);
    let mut file = format!("{HEADER}\n");
    for _ in 0..1000 {
        file.push_str("2024-03-18,agent-1,A,-1,0,0,0,0\n");
    }
    file.push_str("1710720000,,A,1,0,0,0,0\n");
    let rejected = read_whole(file.as_bytes(), spec).unwrap_err();
    assert_eq!((rejected.findings.len(), rejected.total), (100, 2001));
    insta::assert_snapshot!(rejected.message(), @r##"
    2,001 problems: line 2, column Date: "2024-03-18" is not a date in Unix seconds; line 2, column Sels: "-1" is negative
    "##);
    insta::assert_snapshot!(rejected.hint(), @"a date as text: write 1710720000 for 2024-03-18. Nothing was imported; `sumsq check` lists the problems before an upload");
}

#[test]
fn broken_rules_reject_where_the_source_says_so() {
    let file = format!(
        "{HEADER}\n1710720000,a,A,10,3,7,9.99,99.80\n1710720000,a,B,10,25,25,9.99,99.80\n\
         1710806400,a,A,10,3,7,9.99,99.80\n"
    );
    let mut reject = spec(vec![goal("g-sales", true)]);
    reject.on_integrity_problem = OnIntegrityProblem::Reject;
    let rejected = read_whole(file.as_bytes(), reject).unwrap_err();
    assert_eq!(rejected.class(), ErrorCode::IntegrityProblem);
    insta::assert_snapshot!(format!("{}{}\n{}", shown_refusal(&rejected), rejected.message(), rejected.hint()), @r##"
    NoConverters: line 2, column g-sales_sumsq: no number of visitors can have 3 events in all and 7 as the sum of their squares; and 1 more like it
      hint: sampled, scaled, rounded or noised counts look like this, and squares over other rows than the count's: add up each visitor's events first, square that number, then sum the squares over visitors
    2 in all
    2 problems: line 2, column g-sales_sumsq: no number of visitors can have 3 events in all and 7 as the sum of their squares; and 1 more like it
    sampled, scaled, rounded or noised counts look like this, and squares over other rows than the count's: add up each visitor's events first, square that number, then sum the squares over visitors. Nothing was imported; with onIntegrityProblem: Warn in the data source the file is imported all the same, and its reports say so
    "##);

    // What only the dating may explain never rejects.
    let file = format!("{HEADER}\n1710720000,a,B,10,25,25,25,25\n");
    let mut reject = spec(vec![goal("g-sales", true)]);
    reject.on_integrity_problem = OnIntegrityProblem::Reject;
    let parsed = read_whole(file.as_bytes(), reject).unwrap();
    assert_eq!(parsed.summary.total_findings, 2);
}

#[test]
fn every_limit_can_be_set() {
    let spec = || spec(vec![goal("g-sales", true)]);
    let file = format!("{HEADER}\n1710720000,agent-1,A,x,y,0,0,0\n");
    let tight = Limits {
        record_bytes: 90,
        columns: 8,
        findings: 1,
    };
    let rejected = read(file.as_bytes(), spec(), tight, 16).unwrap_err();
    assert_eq!((rejected.findings.len(), rejected.total), (1, 2));
    let narrow = Limits {
        columns: 7,
        ..tight
    };
    let rejected = read(file.as_bytes(), spec(), narrow, 16).unwrap_err();
    assert_eq!(rejected.findings[0].code, "TooManyColumns");
    let short = Limits {
        record_bytes: 40,
        ..tight
    };
    let rejected = read(file.as_bytes(), spec(), short, 16).unwrap_err();
    assert_eq!(rejected.findings[0].code, "RecordTooLong");
}

proptest! {
    /// Whatever the order of the rows, the same is read.
    #[test]
    fn the_order_of_rows_does_not_show(
        rows in prop::collection::vec((0..3_u8, 0..3_u8, 0..2_u8, 1..50_u64, 0..9_u64), 1..40)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let days = |rows: &[(u8, u8, u8, u64, u64)]| {
            let mut file = format!("{HEADER}\n");
            for (agent, day, variation, visitors, count) in rows {
                let date = 1_710_720_000 + u64::from(*day) * 86_400;
                let value = count * 5;
                writeln!(
                    file,
                    "{date},agent-{agent},{variation},{visitors},{count},{count},{value}.50,{}",
                    value * 25,
                )
                .unwrap();
            }
            let parsed = read_whole(file.as_bytes(), spec(vec![goal("g-sales", true)])).unwrap();
            parsed.agent_days.collect::<Vec<_>>()
        };
        prop_assert_eq!(days(&rows.0), days(&rows.1));
    }

    /// No bytes bring the reader down, and no way to cut them changes what it says.
    #[test]
    fn any_bytes_are_read_or_refused(
        middle in prop::collection::vec(any::<u8>(), 0..300),
        lines in "([0-9a-z.,\"\r\n -]{0,40}\n){0,8}",
        chunk in 1..400_usize,
    ) {
        for tail in [middle.as_slice(), lines.as_bytes()] {
            let file = [HEADER.as_bytes(), b"\n1710720000,a,A,1,0,0,0,0\n", tail].concat();
            let whole = read_whole(&file, spec_of("")).map(shown);
            let cut = read(&file, spec_of(""), Limits::default(), chunk).map(shown);
            prop_assert_eq!(whole, cut);
        }
    }
}
