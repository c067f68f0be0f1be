//! A file is the same file however it comes and however it is read.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::domain::data_source::GoodDirection;

fn goal(code: &str, numeric: bool) -> Goal {
    Goal {
        code: code.into(),
        display_name: None,
        numeric,
        allow_negative: false,
        good_direction: GoodDirection::Increase,
    }
}

fn spec(on_integrity_problem: OnIntegrityProblem) -> CsvSpec {
    CsvSpec {
        goals: vec![goal("g", false), goal("h", true)],
        dating: Dating::Exposure,
        on_integrity_problem,
    }
}

const LIMITS: Limits = Limits {
    record_bytes: 300,
    columns: 50,
    findings: 5,
};

/// How a file is read.
#[derive(Debug, Clone, Copy)]
struct How {
    workers: usize,
    /// Of what is fed at a time.
    fed: usize,
    chunk_bytes: usize,
    /// Rows in memory, in bytes.
    memory: usize,
}

const PLAIN: How = How {
    workers: 1,
    fed: usize::MAX,
    chunk_bytes: 1 << 20,
    memory: usize::MAX,
};

/// Everything that a file gives.
fn read(file: &[u8], how: How, on_integrity_problem: OnIntegrityProblem) -> String {
    let means = Means {
        workers: how.workers,
        chunk_bytes: how.chunk_bytes,
        ..Means::new(how.memory, std::env::temp_dir())
    };
    let mut reader = FileReader::new(spec(on_integrity_problem), LIMITS, means);
    let fed = file
        .chunks(how.fed.max(1))
        .try_for_each(|fed| reader.feed(fed));
    let read = reader.finish();
    if let Err(error) = fed {
        assert_eq!(read.unwrap_err().to_string(), error.to_string());
        return format!("{error:?}");
    }
    match read {
        Err(error) => format!("{error:?}"),
        Ok(Reviewed { summary, days }) => {
            let mut said = format!("{summary:?}\n");
            for day in days.map(|| (), |(), day| day.to_agent_day()) {
                writeln!(said, "{:?}", day.unwrap()).unwrap();
            }
            said
        }
    }
}

/// Fields that may stand where others do: those of a file that can be imported, and mistakes.
const UNUSUAL: &[&str] = &["\"7\"", "1", "\"4\"", "07", "10.0", "1e1", "\"1\"\"", "+3"];
const WRONG: &[&str] = &[
    "",
    "\"a,b\"",
    "5\" x",
    "\"A",
    "\"x\ny\"",
    "-4",
    "1,5",
    "é",
    "99999999999999999999",
    "\"7\"8",
];
const UNUSUAL_CODES: &[&str] = &[
    "\"a,b\"",
    "\"a\"\"b\"",
    "5\" x",
    "é",
    " A",
    "\"A\"",
    "a b",
    "e\u{301}",
];

/// How many of a thousand fields are unusual, and how many wrong.
type Odds = (u32, u32);

fn field(
    plain: impl Strategy<Value = String> + 'static,
    unusual: &'static [&'static str],
    odds: Odds,
) -> impl Strategy<Value = String> {
    let one_of =
        |these: &'static [&'static str]| prop::sample::select(these).prop_map(str::to_owned);
    prop_oneof![
        1000 - odds.0 - odds.1 => plain,
        odds.0 => one_of(unusual),
        odds.1 => one_of(WRONG),
    ]
}

fn code(codes: &'static [&'static str], odds: Odds) -> impl Strategy<Value = String> {
    let plain = prop::sample::select(codes).prop_map(str::to_owned);
    field(plain, UNUSUAL_CODES, odds)
}

fn row(odds: Odds) -> impl Strategy<Value = String> {
    let days = (19_000..19_004_u64).prop_map(|day| (day * 86_400).to_string());
    let date = field(days, &["1641600000.0", "\"1641686400\"", "-5", "7"], odds);
    let count = || {
        field(
            (0..40_u32).prop_map(|count| count.to_string()),
            UNUSUAL,
            odds,
        )
    };
    let decimal = || field("[0-9]{1,3}\\.[0-9]{2,4}", UNUSUAL, odds);
    let agent = code(&["agent-1", "agent-2", "Agent-1", "z"], odds);
    let arm = (code(&["A", "B"], odds), code(&["r", "", "f"], odds));
    let of_trait = prop_oneof![
        3 => Just((String::new(), String::new())),
        3 => (code(&["s", "t"], odds), code(&["1", "2", "3"], odds)),
    ];
    let numbers = (
        count(),
        count(),
        count(),
        count(),
        count(),
        decimal(),
        decimal(),
    );
    (date, agent, arm, of_trait, numbers).prop_map(|(date, agent, arm, of_trait, numbers)| {
        let (sels, g, gq, h, hq, v, w) = numbers;
        [
            date, agent, arm.0, arm.1, of_trait.0, of_trait.1, sels, g, gq, h, hq, v, w,
        ]
        .join(",")
    })
}

fn file() -> impl Strategy<Value = String> {
    let rows = |odds: Odds, ends: &'static [&'static str]| {
        prop::collection::vec((row(odds), prop::sample::select(ends)), 0..80)
    };
    let rows = prop_oneof![
        rows((0, 0), &["\n"]),
        rows((30, 0), &["\r\n"]),
        rows((30, 0), &["\r"]),
        rows((100, 0), &["\n", "\n\n", "\r\n", "\r", "\r\r"]),
        rows((10, 2), &["\n"]),
        rows((30, 30), &["\n", "\r\n", "\r", "\r\r", ""]),
    ];
    let header_end = prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"]);
    (header_end, rows, any::<bool>(), any::<bool>()).prop_map(|(header_end, rows, mark, ended)| {
        let mut file = if mark { "\u{feff}" } else { "" }.to_owned();
        file.push_str(
            "Date,Agent,Variation,Policy,Trait_Group,Trait_Value,Sels,g,g_sumsq,h,h_sumsq,h_val,\
             h_val_sumsq",
        );
        file.push_str(header_end);
        for (row, end) in rows {
            file.push_str(&row);
            file.push_str(end);
        }
        let length = file.trim_end().len();
        file.truncate(if ended { file.len() } else { length });
        file
    })
}

fn how() -> impl Strategy<Value = How> {
    let memory = prop_oneof![Just(usize::MAX), 0..2_000_usize];
    (1..4_usize, 1..200_usize, 1..700_usize, memory).prop_map(
        |(workers, fed, chunk_bytes, memory)| How {
            workers,
            fed,
            chunk_bytes,
            memory,
        },
    )
}

proptest! {
    #[test]
    fn whatever_the_chunks_the_workers_and_the_memory(
        file in file(),
        how in how(),
        reject in any::<bool>(),
    ) {
        let on_integrity_problem = if reject {
            OnIntegrityProblem::Reject
        } else {
            OnIntegrityProblem::Warn
        };
        let read = |how| read(file.as_bytes(), how, on_integrity_problem);
        prop_assert_eq!(read(how), read(PLAIN));
    }
}

/// What the property draws are files of both kinds.
#[test]
fn some_files_are_imported_and_some_are_not() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let imported = (0..60).filter(|_| {
        let file = file().new_tree(&mut runner).unwrap().current();
        !read(file.as_bytes(), PLAIN, OnIntegrityProblem::Warn).starts_with("Rejected")
    });
    let imported = imported.count();
    assert!((10..50).contains(&imported), "{imported} of 60");
}
