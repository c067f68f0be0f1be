//! How long it takes to bring a CSV from a bucket into the store, beside what a nightly script would
//! take, and prints the table that docs/performance.md holds:
//!
//! ```text
//! tests/testbed/install && . ~/.cache/sumsq-testbed/env
//! cargo run --release --example compare_ingest
//! ```
//!
//! Every program works in a process of its own, ours and the rivals' in turn; what is told are medians.
//! A round replaces every agent day by new content, then imports the file again with one of its
//! days new, then once more unchanged. Rivals read the file from the disk, ours by HTTP.

#[path = "../make_counts.rs"]
mod make_counts;
mod object_server;
mod ours;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use support::postgres::Postgres;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[arg(long, default_value_t = 200)]
    agents: u64,
    #[arg(long, default_value_t = 90)]
    days: u64,
    #[arg(long, default_value = "day")]
    order: String,
    /// Only what we take ourselves
    #[arg(long)]
    alone: bool,
    /// Made and removed in here
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    #[command(subcommand)]
    step: Option<Step>,
}

/// One step in a process of its own.
#[derive(Debug, Subcommand)]
enum Step {
    #[command(hide = true)]
    Serve { folder: PathBuf },
    #[command(hide = true)]
    Import {
        store: String,
        endpoint: String,
        key: String,
    },
    #[command(hide = true)]
    Query { store: String },
    #[command(hide = true)]
    Scan { file: PathBuf },
}

const GOALS: usize = 5;
const VARIATIONS: u64 = 4;
const TRAITS: u64 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    match &args.step {
        None => compare(&args).await,
        Some(Step::Serve { folder }) => object_server::serve(folder).await,
        Some(Step::Import {
            store,
            endpoint,
            key,
        }) => ours::import(store, endpoint, key, GOALS).await,
        Some(Step::Query { store }) => ours::query(store).await,
        Some(Step::Scan { file }) => scan(file),
    }
}

/// The least that any program takes: each record found, nothing made of it.
fn scan(file: &Path) -> Result<()> {
    let begun = Instant::now();
    let mut reader = csv::ReaderBuilder::new()
        .buffer_capacity(1 << 16)
        .from_reader(File::open(file)?);
    let (mut record, mut fields) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        fields += record.len();
    }
    ensure!(fields > 0, "there is nothing in it");
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Files in a folder that is a bucket of the server's.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// Two files with nothing but the days in common, and each with its last day made new: of the
    /// other's first.
    fn make(args: &Args) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("compare-ingest-")
            .tempdir_in(&args.folder)?;
        let files = Self { folder };
        fs::create_dir(files.bucket())?;
        for seed in [1, 2] {
            let text = |number: u64| number.to_string();
            let generated = make_counts::Args::parse_from([
                "make_counts".to_owned(),
                format!("--agents={}", args.agents),
                format!("--days={}", args.days),
                format!("--variations={VARIATIONS}"),
                format!("--traits={TRAITS}"),
                format!("--goals={GOALS}"),
                format!("--order={}", args.order),
                format!("--seed={}", text(seed)),
            ]);
            let mut out = BufWriter::new(File::create(files.path(&format!("{seed}.csv")))?);
            make_counts::generate(&mut out, &generated)?;
        }
        files.with_last_day("1.csv", "2.csv", "1-new.csv", args)?;
        files.with_last_day("2.csv", "1.csv", "2-new.csv", args)?;
        Ok(files)
    }

    /// `of` with other rows for its last day: those that `other` has for its first.
    fn with_last_day(&self, of: &str, other: &str, name: &str, args: &Args) -> Result<()> {
        // 2024-01-01.
        let first = 1_704_067_200;
        let (oldest, newest) = (
            format!("{first},"),
            format!("{},", first + (args.days - 1) * 86_400),
        );
        let mut out = BufWriter::new(File::create(self.path(name))?);
        for line in BufReader::new(File::open(self.path(of))?).lines() {
            let line = line?;
            if !line.starts_with(&newest) {
                writeln!(out, "{line}")?;
            }
        }
        for line in BufReader::new(File::open(self.path(other))?).lines() {
            if let Some(rest) = line?.strip_prefix(&oldest) {
                writeln!(out, "{newest}{rest}")?;
            }
        }
        Ok(out.flush()?)
    }

    fn bucket(&self) -> PathBuf {
        self.folder.path().join("counts")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bucket().join(name)
    }
}

/// What one of our imports has printed.
#[derive(Debug, Clone, Copy)]
struct Imported {
    seconds: f64,
    changed: u64,
    peak_kib: u64,
}

/// What is measured, again and again.
#[derive(Debug, Default)]
struct Times {
    scan: Vec<f64>,
    replace: Vec<f64>,
    one_day: Vec<f64>,
    unchanged: Vec<f64>,
    query: Vec<f64>,
    /// That the last query has added up.
    visitors: u64,
    peak_kib: u64,
}

impl Times {
    /// Seconds and visitors, as a query prints them.
    fn take_query(&mut self, said: &str) -> Result<()> {
        let (seconds, visitors) = said.split_once(' ').context("two words")?;
        self.query.push(seconds.parse()?);
        self.visitors = visitors.parse()?;
        Ok(())
    }
}

struct Bench {
    files: Files,
    endpoint: String,
    server: Child,
    python: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

impl Bench {
    fn start(args: &Args) -> Result<Self> {
        let files = Files::make(args)?;
        let mut server = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(files.folder.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut endpoint = String::new();
        let said = server.stdout.take().context("it says where it is")?;
        BufReader::new(said).read_line(&mut endpoint)?;
        Ok(Self {
            files,
            endpoint: endpoint.trim().to_owned(),
            server,
            python: std::env::var_os("SUMSQ_TEST_RIVALS").map_or_else(PathBuf::new, PathBuf::from),
        })
    }

    fn import(&self, store: &str, key: &str) -> Result<Imported> {
        let said = own(&["import", store, &self.endpoint, key])?;
        let mut words = said.split(' ');
        let mut next = || words.next().context("three words");
        Ok(Imported {
            seconds: next()?.parse()?,
            changed: next()?.parse()?,
            peak_kib: next()?.parse()?,
        })
    }

    fn scan(&self, file: &str) -> Result<f64> {
        let path = self.files.path(file);
        Ok(own(&["scan", &path.to_string_lossy()])?.parse()?)
    }

    fn rival(&self, rival: &str, what: &str, database: &str, file: &str) -> Result<String> {
        let path = self.files.path(file);
        output(
            Command::new(&self.python)
                .args(["-c", include_str!("rivals.py"), rival, what, database])
                .arg(path),
        )
    }

    /// One round of ours: from what `before` holds to all of `file`, one day new, and unchanged.
    fn ours(&self, store: &str, file: &str, args: &Args, times: &mut Times) -> Result<()> {
        let all = args.agents * args.days;
        let new = format!("{file}-new.csv");
        for (key, changed, into) in [
            (format!("{file}.csv"), all, &mut times.replace),
            (new.clone(), args.agents, &mut times.one_day),
            (new, 0, &mut times.unchanged),
        ] {
            let imported = self.import(store, &key)?;
            ensure!(imported.changed == changed, "{imported:?}");
            into.push(imported.seconds);
            times.peak_kib = times.peak_kib.max(imported.peak_kib);
        }
        times.take_query(&own(&["query", store])?)
    }

    fn rivals(&self, rival: &str, database: &str, file: &str, times: &mut Times) -> Result<()> {
        let (file, new) = (format!("{file}.csv"), format!("{file}-new.csv"));
        times
            .replace
            .push(self.rival(rival, "replace", database, &file)?.parse()?);
        times
            .one_day
            .push(self.rival(rival, "replace", database, &new)?.parse()?);
        times.take_query(&self.rival(rival, "query", database, &file)?)
    }
}

/// What a step of this program prints.
fn own(words: &[&str]) -> Result<String> {
    output(Command::new(std::env::current_exe()?).args(words))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

async fn compare(args: &Args) -> Result<()> {
    let bench = Bench::start(args)?;
    let at = |name: &str| bench.files.folder.path().join(name).display().to_string();
    let (sqlite, duckdb) = (format!("sqlite:{}", at("ours.db")), at("duck.db"));
    let server = if args.alone {
        None
    } else {
        Some(Postgres::start(&[]).await)
    };
    let databases = server.as_ref().map(|server| {
        let url = || server.url(&server.database());
        (url(), url())
    });
    let [mut ours, mut duck, mut on_postgres, mut copied] = [(); 4].map(|()| Times::default());
    // The first round fills the stores and is not counted.
    for round in 0..=args.rounds {
        if round == 1 {
            for times in [&mut ours, &mut duck, &mut on_postgres, &mut copied] {
                *times = Times::default();
            }
        }
        let file = ["1", "2"][round % 2];
        ours.scan.push(bench.scan(&format!("{file}.csv"))?);
        bench.ours(&sqlite, file, args, &mut ours)?;
        if let Some((own, theirs)) = &databases {
            bench.rivals("duckdb", &duckdb, file, &mut duck)?;
            bench.ours(own, file, args, &mut on_postgres)?;
            bench.rivals("postgres", theirs, file, &mut copied)?;
            let answers = [&ours, &duck, &on_postgres, &copied].map(|times| times.visitors);
            ensure!(answers == [answers[0]; 4], "{answers:?}");
        }
        eprintln!("round {round} of {}", args.rounds);
    }
    let bytes = fs::metadata(bench.files.path("1.csv"))?.len();
    println!(
        "{bytes} bytes, {} agent days; medians of {} rounds\n",
        args.agents * args.days,
        args.rounds
    );
    print_table(&mut ours, &mut duck, &mut on_postgres, &mut copied);
    Ok(())
}

fn print_table(ours: &mut Times, duck: &mut Times, on_postgres: &mut Times, copied: &mut Times) {
    let scan = median(&mut ours.scan);
    println!(
        "| what | ours, SQLite | DuckDB | ours / DuckDB | ours, PostgreSQL | COPY | COPY / ours |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut line = |what: &str, pick: fn(&mut Times) -> &mut Vec<f64>| {
        let [own, duck, on_postgres, copied] =
            [&mut *ours, &mut *duck, &mut *on_postgres, &mut *copied]
                .map(|times| median(pick(times)));
        println!(
            "| {what} | {} | {} | {:.2} | {} | {} | {:.1} |",
            shown(own),
            shown(duck),
            own / duck,
            shown(on_postgres),
            shown(copied),
            copied / on_postgres
        );
        own
    };
    let replace = line("replace all", |times| &mut times.replace);
    line("one day new", |times| &mut times.one_day);
    line("unchanged", |times| &mut times.unchanged);
    line("one agent's days", |times| &mut times.query);
    println!(
        "\nbare scan by the csv crate: {}; ours / scan: {:.2}",
        shown(scan),
        replace / scan
    );
    println!(
        "at most resident: {} MiB on SQLite, {} MiB on PostgreSQL",
        ours.peak_kib / 1024,
        on_postgres.peak_kib / 1024
    );
}

/// NaN of none.
fn median(times: &mut [f64]) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn shown(seconds: f64) -> String {
    if seconds.is_nan() {
        "-".to_owned()
    } else if seconds < 0.1 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}
